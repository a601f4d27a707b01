/** What the setting names: a URL, or a command and its arguments, each with the nonce put in. */

const PLACEHOLDER = '{nonce}'

export type DeviceSource = { readonly url: URL } | { readonly file: string, readonly args: readonly string[] }

/**
 * The nonce takes the place of `{nonce}`. Without the placeholder, a URL gets the query parameter `nonce`, and a
 * command the arguments `--nonce` and the nonce, as NVIDIA's tools have it.
 *
 * @param text a URL, or words separated by white space: there is no shell, and there are no quotes
 * @param nonce hexadecimal
 */
export function deviceSource (text: string, nonce: string): DeviceSource {
  const hasPlaceholder = text.includes(PLACEHOLDER)
  const whole = text.replaceAll(PLACEHOLDER, nonce)
  if (/^https?:\/\//.test(text)) {
    const url = new URL(whole)
    if (!hasPlaceholder) url.searchParams.append('nonce', nonce)
    return { url }
  }
  const [file = '', ...args] = whole.split(/\s+/)
  return { file, args: hasPlaceholder ? args : [...args, '--nonce', nonce] }
}
