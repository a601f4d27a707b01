/** What the `@sigstore` packages use of Node's `util`, for browsers. */

/** For primitives, dates, arrays, bytes and plain objects. */
export function isDeepStrictEqual (one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false
  if (one instanceof Date && other instanceof Date) return one.getTime() === other.getTime()
  if (Object.getPrototypeOf(one) !== Object.getPrototypeOf(other)) return false
  const [names, others] = [Object.keys(one), Object.keys(other)]
  return names.length === others.length &&
    names.every(name => Object.hasOwn(other, name) && isDeepStrictEqual(Reflect.get(one, name), Reflect.get(other, name)))
}
