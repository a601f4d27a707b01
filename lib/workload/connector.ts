/**
 * Connections to the workload, with two things put right that undici's client does on purpose, and a proxy must not do:
 * it gives up when a workload says 100 Continue unasked, and it takes a reset for the end of a response without a
 * length.
 */
import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import type { buildConnector } from 'undici'
import { createFreeingConnector } from '../streams/owned.ts'

/** undici's connector, of such connections. */
export function createWorkloadConnector (options: buildConnector.BuildOptions): buildConnector.connector {
  const connect = createFreeingConnector(options)
  return (target, callback) => connect(target, (...result) => {
    const [error, socket] = result
    if (error === null) {
      skipContinues(socket)
      reportResets(socket)
    }
    callback(...result)
  })
}

/** A response without a length ends with its connection, but not with a broken one. undici goes by the code. */
function reportResets (socket: Socket): void {
  socket.on(
    'error', (error: NodeJS.ErrnoException) => { if (error.code === 'ECONNRESET') error.code = 'UND_ERR_SOCKET' }
  )
}

/** What to do when a request is written to a connection: from then on, a response may come. */
const onRequest = new WeakMap<object, () => void>()

subscribe('undici:client:sendHeaders', message => {
  const { socket } = message as { socket?: Socket }
  if (socket !== undefined) onRequest.get(socket)?.()
})

const CONTINUE = /^HTTP\/1\.[01] 100[ \r]/
const CONTINUE_START = 'HTTP/1.1 100 '
/** Where the status stands, and the digit that it begins with if a response is none yet. */
const STATUS_AT = 'HTTP/1.1 '.length
const INTERIM = 0x31
const HEAD_END = '\r\n\r\n'
/** More than a workload would say before its response. */
const MAX_SKIPPED_BYTES = 16 * 1024

/** Takes every 100 Continue in front of a response out of what is read (RFC 9110, section 15.2.1). */
function skipContinues (socket: Socket): void {
  const read = socket.read.bind(socket)
  let skipped = 0
  let isStart = false
  let held: Buffer | undefined

  onRequest.set(socket, () => {
    skipped = 0
    isStart = true
    held = undefined
  })
  socket.read = (size?: number): Buffer | null => {
    const piece = read(size) as Buffer | null
    if (!isStart || piece === null) return piece
    if (held === undefined && piece.length > STATUS_AT && piece[STATUS_AT] !== INTERIM) {
      isStart = false
      return piece
    }
    let bytes = held === undefined ? piece : Buffer.concat([held, piece])
    held = undefined
    while (isContinue(bytes) && skipped + bytes.length <= MAX_SKIPPED_BYTES) {
      const end = bytes.indexOf(HEAD_END)
      if (end === -1) {
        held = bytes
        return null
      }
      skipped += end + HEAD_END.length
      bytes = bytes.subarray(end + HEAD_END.length)
    }
    if (bytes.length < CONTINUE_START.length && mayBeContinue(bytes)) {
      held = bytes.length === 0 ? undefined : bytes
      return null
    }
    isStart = false
    return bytes
  }
}

function isContinue (bytes: Buffer): boolean {
  return CONTINUE.test(bytes.toString('latin1', 0, CONTINUE_START.length))
}

function mayBeContinue (bytes: Buffer): boolean {
  const text = bytes.toString('latin1')
  return CONTINUE_START.startsWith(text.replace(/^HTTP\/1\.0/, 'HTTP/1.1'))
}
