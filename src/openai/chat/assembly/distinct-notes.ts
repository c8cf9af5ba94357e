/** Passes each note on once: an upstream with a habit would write the same one for every chunk. */
export function distinctNotes(onNote: ((note: string) => void) | undefined): (note: string) => void {
  const told = new Set<string>();
  return (note) => {
    if (told.has(note)) return;
    told.add(note);
    onNote?.(note);
  };
}
