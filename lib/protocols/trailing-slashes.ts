/** A base of URLs, ready for a path to be put behind it. */

/** The text without the slashes at its end. Step by step: a regular expression tries again at each of many slashes. */
export function withoutTrailingSlashes (text: string): string {
  let end = text.length
  while (end > 0 && text[end - 1] === '/') end--
  return text.slice(0, end)
}
