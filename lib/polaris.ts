/**
 * The shared decorator `fastify.polaris`. It is empty here on purpose: each plugin declares the member it adds,
 * in its own file, by declaration merging, and adds it with `provide`.
 */
export interface Polaris {}

/**
 * Adds a member to `fastify.polaris`, once.
 *
 * @throws {Error} the member exists: two plugins would silently work with different ones
 */
export function provide<Name extends keyof Polaris> (polaris: Polaris, name: Name, member: Polaris[Name]): void {
  if (Object.hasOwn(polaris, name)) throw new Error(`polaris.${name} is already registered`)
  Object.defineProperty(polaris, name, { value: member, enumerable: true })
}
