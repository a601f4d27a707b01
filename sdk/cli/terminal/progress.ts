/** How far a transfer has come, on a terminal. Nothing is shown in a pipe, and nothing of what is small and quick. */

const EVERY_MS = 100
const QUICK_MS = 500
const SMALL_BYTES = 1_000_000

/** The same bytes. Writes on the terminal how many have passed, on a line of its own that is written over. */
export async function * showProgress (
  source: AsyncIterable<Uint8Array>, verb: string, length: number | undefined, terminal: NodeJS.WritableStream
): AsyncGenerator<Uint8Array, void, void> {
  const startedAt = performance.now()
  let passed = 0
  let shownAt = -Infinity
  const isLong = () => passed >= SMALL_BYTES || performance.now() - startedAt >= QUICK_MS
  const show = () => {
    const share = length === undefined || length === 0
      ? ''
      : ` of ${megabytes(length)}, ${Math.floor(100 * passed / length)} %`
    terminal.write(`\r\x1b[K${verb} ${megabytes(passed)}${share}`)
    shownAt = performance.now()
  }
  try {
    for await (const piece of source) {
      yield piece
      passed += piece.length
      if (isLong() && performance.now() - shownAt >= EVERY_MS) show()
    }
  } finally {
    if (isLong()) {
      show()
      terminal.write('\n')
    }
  }
}

function megabytes (bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}
