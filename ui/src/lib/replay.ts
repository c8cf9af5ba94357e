/** The request body that the playground opens with; in memory only. */
let kept: string | null = null;

export function keepForPlayground(body: string): void {
  kept = body;
}

/** Once. */
export function takeKept(): string | null {
  const body = kept;
  kept = null;
  return body;
}
