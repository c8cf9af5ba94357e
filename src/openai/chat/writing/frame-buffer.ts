/** The frames of one push, in their order, as one text. */
export class FrameBuffer {
  #text = '';

  frame(json: string): void {
    this.#text += `data: ${json}\n\n`;
  }

  take(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }
}
