/** `1 failure`, `2 failures`: for nouns whose plural ends in s. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** `once`, `2 times`. */
export function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

/** `0.5 s`, `30 s`, `1234 s`: the rest of a limit has too many digits to be readable. */
export function inSeconds(ms: number): string {
  const seconds = ms / 1_000;
  return `${seconds >= 100 ? Math.round(seconds) : Number(seconds.toPrecision(3))} s`;
}
