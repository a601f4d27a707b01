/** Elements without markup: text stays text, whatever a proxy says. */

type Child = Node | string | false | undefined

/** @param attributes only those whose value is a string or true are set */
export function element<K extends keyof HTMLElementTagNameMap> (
  name: K,
  attributes: Readonly<Record<string, string | boolean | undefined>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name)
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(attribute, value === true ? '' : value)
  }
  made.append(...children.filter(child => child !== undefined && child !== false))
  return made
}

/** An element of the page's own markup, which the build and the tests see to. */
export function byId<T extends HTMLElement> (id: string, type: new () => T): T {
  const found = document.getElementById(id)
  if (!(found instanceof type)) throw new Error(`The page has no ${type.name} with the id ${id}`)
  return found
}
