/**
 * FormData as one Blob (multipart/form-data, RFC 7578, encoded as the HTML Standard says). Unlike what a Request makes
 * of it, its length is known, it can be read again, and files in it are not held in memory.
 */

const LINE_BREAK = /\r\n|\r|\n/g

export function formDataBlob (form: FormData): Blob {
  const random = crypto.getRandomValues(new Uint8Array(16))
  // In lower case: a Blob's type always is.
  const boundary = `----polaris-${Array.from(random, octet => octet.toString(16).padStart(2, '0')).join('')}`
  const parts: (string | Blob)[] = []
  for (const [name, value] of form) {
    const disposition =
      `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name.replace(LINE_BREAK, '\r\n'))}"`
    if (typeof value === 'string') parts.push(`${disposition}\r\n\r\n${value.replace(LINE_BREAK, '\r\n')}\r\n`)
    else {
      parts.push(`${disposition}; filename="${quoted(value.name)}"\r\nContent-Type: ${value.type ||
      'application/octet-stream'}\r\n\r\n`, value, '\r\n')
    }
  }
  parts.push(`--${boundary}--\r\n`)
  return new Blob(parts, { type: `multipart/form-data; boundary=${boundary}` })
}

function quoted (name: string): string {
  return name.replaceAll('\n', '%0A').replaceAll('\r', '%0D').replaceAll('"', '%22')
}
