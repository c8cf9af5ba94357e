/**
 * A vector of length 1 for a text: the same text gives the same vector, and texts that share words are near each
 * other, so that a retrieval application shows sensible hits on the demo. No meaning beyond that.
 */
export function wordVector(text: string, dimension: number): number[] {
  const vector = new Array<number>(dimension).fill(0);
  for (const word of wordsOf(text)) {
    const hash = fnv1a(word);
    const place = hash % dimension;
    // Half of the words pull the other way, so that long texts do not all end up in one corner.
    vector[place] = (vector[place] ?? 0) + (hash & 0x80000000 ? 1 : -1);
  }
  const length = Math.hypot(...vector);
  // Opposite words may cancel out; a zero vector would divide by zero in a cosine.
  if (length === 0) vector[0] = 1;
  return length === 0 ? vector : vector.map((value) => value / length);
}

/** Words of letters and digits in lower case; Chinese, Japanese and Korean text character by character. */
function wordsOf(text: string): string[] {
  return (
    text.toLowerCase().match(/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[\p{L}\p{N}]+/gu) ?? []
  );
}

/** FNV-1a over UTF-16 code units, unsigned 32 bits. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}
