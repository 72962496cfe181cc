// Numbers by chance, from a seed: what a round does can be repeated, except for the order in which
// its processes run.

/** splitmix32 */
export function chanceFrom(seed, salt = 0) {
  let state = (Math.imul(seed | 0, 0x9e3779b1) ^ Math.imul(salt + 1, 0x85ebca6b)) | 0
  const next = () => {
    state = (state + 0x9e3779b9) | 0
    let z = state
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return ((z ^ (z >>> 15)) >>> 0) / 4294967296
  }
  const below = (n) => Math.floor(next() * n)
  return {
    below,
    between: (low, high) => low + below(high - low + 1),
    oneIn: (n) => below(n) === 0,
    pick: (list) => list[below(list.length)],
  }
}
