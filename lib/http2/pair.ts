/**
 * Two ends of a connection within this process. What is sent at one arrives at the other; it ends, breaks off and holds
 * back as a TCP connection does. The far end is what a server takes for its client's socket.
 */
import { Duplex } from 'node:stream'

/** Whose connection the far end stands for. */
export interface Origin {
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  readonly remoteFamily: string | undefined
}

class End extends Duplex {
  bytesRead = 0
  bytesWritten = 0
  #other: End | undefined
  #writeMore: (() => void) | undefined

  /** The ends of a new connection. */
  join (other: End): void {
    this.#other = other
    other.#other = this
  }

  override _read (): void {
    const more = this.#writeMore
    this.#writeMore = undefined
    more?.()
  }

  override _write (piece: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    const other = this.#other
    this.bytesWritten += piece.length
    this.passed()
    // As after a close of the other side, what is still sent goes nowhere.
    if (other === undefined || other.destroyed || other.readableEnded) return done()
    other.bytesRead += piece.length
    other.passed()
    // A copy: who wrote it may use its memory for something else, once it is taken.
    if (other.push(Buffer.from(piece))) done()
    else other.#writeMore = done
  }

  override _final (done: () => void): void {
    this.#other?.push(null)
    done()
  }

  override _destroy (error: Error | null, done: (error: Error | null) => void): void {
    const other = this.#other
    const more = this.#writeMore
    this.#writeMore = undefined
    more?.()
    if (other !== undefined && !other.destroyed && this.breaksWith(other)) {
      other.destroy(Object.assign(new Error('The connection was reset'), { code: 'ECONNRESET' }))
    }
    done(error)
  }

  /** Whether the other end breaks when this one is gone, rather than finds the end of what was sent. */
  protected breaksWith (other: End): boolean {
    return !other.destroyed
  }

  /** Something came or went. */
  passed (): void {}
}

/** What servers ask of a socket, beyond a stream. */
export class FarEnd extends End {
  /** The connection that it stands for is TLS. */
  readonly encrypted = true
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  readonly remoteFamily: string | undefined
  #timeout = 0
  #timer: NodeJS.Timeout | undefined

  constructor ({ remoteAddress, remotePort, remoteFamily }: Origin) {
    super({ allowHalfOpen: true })
    this.remoteAddress = remoteAddress
    this.remotePort = remotePort
    this.remoteFamily = remoteFamily
    this.once('close', () => clearTimeout(this.#timer))
  }

  /** As of `net.Socket`: emits `timeout` once nothing came or went for so many milliseconds. */
  setTimeout (milliseconds: number, listener?: () => void): this {
    if (listener !== undefined) this.once('timeout', listener)
    clearTimeout(this.#timer)
    this.#timeout = milliseconds
    this.#timer = milliseconds > 0 && !this.destroyed
      ? setTimeout(() => this.emit('timeout'), milliseconds).unref()
      : undefined
    return this
  }

  get timeout (): number {
    return this.#timeout
  }

  /** What a server has sent to the end arrives, also after it closed. */
  protected override breaksWith (): boolean {
    return !this.writableFinished
  }

  override passed (): void {
    this.#timer?.refresh()
  }

  destroySoon (): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', () => this.destroy())
  }

  resetAndDestroy (): this {
    return this.destroy()
  }

  setKeepAlive (): this { return this }
  setNoDelay (): this { return this }
  ref (): this { return this }
  unref (): this { return this }
}

/** A connection: the near end is for a client of it, the far end for a server. */
export function connectionPair (origin: Origin): { readonly near: Duplex, readonly far: FarEnd } {
  const near = new End({ allowHalfOpen: true })
  const far = new FarEnd(origin)
  near.join(far)
  // Either may break before anyone looks after it.
  for (const end of [near, far]) end.on('error', () => undefined)
  return { near, far }
}
