// What differs between two texts, line by line.

// Beyond so many pairs of lines the middle of two texts counts as all different, rather than keep the page waiting.
const PAIRS = 4e6;

/** Returns the lines of both texts, each as {text, same}: same if the other text has that line at that place, too. */
export function compare(ours, theirs) {
  const a = ours.split('\n'), b = theirs.split('\n');
  let start = 0, end = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const { inA, inB } = common(a.slice(start, a.length - end), b.slice(start, b.length - end));
  const mark = (lines, middle) => lines.map((text, i) => ({
    text, same: i < start || i >= lines.length - end || middle.has(i - start),
  }));
  return { ours: mark(a, inA), theirs: mark(b, inB) };
}

// The places of a longest common subsequence.
function common(a, b) {
  const inA = new Set(), inB = new Set();
  if (a.length * b.length > PAIRS) return { inA, inB };
  const width = b.length + 1;
  const longest = new Uint32Array((a.length + 1) * width); // of a from i and b from j
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      longest[i * width + j] = a[i] === b[j] ? longest[(i + 1) * width + j + 1] + 1
        : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    }
  }
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) {
      inA.add(i++);
      inB.add(j++);
    } else if (longest[(i + 1) * width + j] >= longest[i * width + j + 1]) i++;
    else j++;
  }
  return { inA, inB };
}
