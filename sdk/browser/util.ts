/** What the `@sigstore` packages use of Node's `util`, for browsers: whether two witnesses are the same one twice. */

/** For bytes, times, plain objects and lists of them, and primitive values. */
export function isDeepStrictEqual (one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false
  if (Object.getPrototypeOf(one) !== Object.getPrototypeOf(other)) return false
  if (one instanceof Date && other instanceof Date) return Object.is(one.getTime(), other.getTime())
  const [names, others] = [Object.keys(one), Object.keys(other)]
  return names.length === others.length && names.every(name =>
    Object.hasOwn(other, name) && isDeepStrictEqual(one[name as keyof typeof one], other[name as keyof typeof other]))
}
