/**
 * Finds the `usage` object in a JSON text that arrives in pieces, cut anywhere. Nothing of the text is kept but the
 * name or the number that is being read, so a text may be as long as it likes. What is not JSON has no usage.
 */
import { MAX_DIGITS, MEMBERS } from './counts.ts'
import type { Counts, Member } from './counts.ts'

export interface JsonScanner {
  push (bytes: Uint8Array): void
  /** What was found; undefined if the text is not JSON, or not whole. */
  end (): Counts | undefined
}

/** Deeper texts are given up. */
const MAX_DEPTH = 128
const MAX_NAME_BYTES = Math.max(...MEMBERS.map(({ length }) => length))

const members: ReadonlyMap<string, Member> = new Map(MEMBERS.map(member => [member, member]))
/** Events of Anthropic's messages and of OpenAI's responses have it one level down. */
const ENVELOPES: ReadonlySet<string> = new Set(['message', 'response'])
const LITERALS: ReadonlyMap<number, string> = new Map(['true', 'false', 'null'].map(text => [text.charCodeAt(0), text]))

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const [OBJECT, OBJECT_END] = [0x7b, 0x7d]
const [ARRAY, ARRAY_END] = [0x5b, 0x5d]

type State =
  /** A value, or what ends an empty array. */
  'value' | 'first item' | 'string' | 'escape' | 'number' | 'literal' |
  /** A name, or what ends an empty object. */
  'first name' | 'next name' | 'name' | 'name escape' | 'colon' |
  /** Behind a value. */
  'after' | 'failed'

export function createJsonScanner (): JsonScanner {
  const counts: Counts = {}
  /** Of each container that is open: whether it is an object. */
  const stack: boolean[] = []
  /** The names that lead to where we are, as far as they can lead to a count; undefined beside the way. */
  const path: (string | undefined)[] = []
  let state: State = 'value'
  /** Of the name or number that is being read; undefined if it does not matter what it is. */
  let text: string | undefined
  let literal = ''
  let literalAt = 0

  function isUsage (depth: number): boolean {
    return path[depth - 1] === 'usage' && (depth === 1 || (depth === 2 && ENVELOPES.has(path[0] ?? '')))
  }

  function open (isObject: boolean): void {
    if (stack.length === MAX_DEPTH) {
      state = 'failed'
      return
    }
    stack.push(isObject)
    state = isObject ? 'first name' : 'first item'
  }

  function close (isObject: boolean): void {
    if (stack.pop() !== isObject) {
      state = 'failed'
      return
    }
    if (stack.length < path.length) path.length = stack.length
    state = 'after'
  }

  /** Names matter on the way to a count: `usage.input_tokens`, `message.usage.input_tokens`. */
  function nameEnded (): void {
    const depth = stack.length
    if (depth <= 3) {
      path.length = depth
      const onTheWay = stack.every(Boolean) && (depth === 1 || path[depth - 2] !== undefined)
      path[depth - 1] = onTheWay ? text : undefined
    }
    state = 'colon'
  }

  function numberEnded (): void {
    const depth = stack.length
    const member = depth > 1 && isUsage(depth - 1) ? members.get(path[depth - 1] ?? '') : undefined
    if (member !== undefined && text !== undefined && /^(?:0|[1-9]\d*)$/.test(text)) counts[member] = Number(text)
    state = 'after'
  }

  function startValue (byte: number): void {
    if (byte === QUOTE) state = 'string'
    else if (byte === OBJECT) open(true)
    else if (byte === ARRAY) open(false)
    else if (LITERALS.has(byte)) {
      literal = LITERALS.get(byte) ?? ''
      literalAt = 1
      state = 'literal'
    } else if (byte === 0x2d || isDigit(byte)) {
      text = String.fromCharCode(byte)
      state = 'number'
    } else state = 'failed'
  }

  function afterValue (byte: number): void {
    const inObject = stack.at(-1)
    if (inObject === undefined) state = 'failed'
    else if (byte === COMMA) state = inObject ? 'next name' : 'value'
    else if (byte === OBJECT_END || byte === ARRAY_END) close(byte === OBJECT_END)
    else state = 'failed'
  }

  /** Everything but the insides of strings, numbers and literals, where white space does not count. */
  function step (byte: number): void {
    if (isSpace(byte)) return
    if (state === 'value') startValue(byte)
    else if (state === 'after') afterValue(byte)
    else if (state === 'colon') state = byte === COLON ? 'value' : 'failed'
    else if (state === 'first item') {
      if (byte === ARRAY_END) close(false)
      else startValue(byte)
    } else if (state === 'first name' && byte === OBJECT_END) close(true)
    else if (byte === QUOTE) {
      text = ''
      state = 'name'
    } else state = 'failed'
  }

  /** Skips a string, or reads a name. Returns where it stopped. */
  function inString (bytes: Uint8Array, from: number): number {
    const isName = state === 'name'
    let at = from
    for (; at < bytes.length; at++) {
      const byte = bytes[at]!
      if (byte === QUOTE) {
        if (isName) nameEnded()
        else state = 'after'
        return at + 1
      }
      if (byte === BACKSLASH) {
        // A name that matters has no escapes.
        text = undefined
        state = isName ? 'name escape' : 'escape'
        return at + 1
      }
      if (byte < 0x20) {
        state = 'failed'
        return at
      }
      if (isName && text !== undefined) {
        text = text.length < MAX_NAME_BYTES ? text + String.fromCharCode(byte) : undefined
      }
    }
    return at
  }

  return {
    push (bytes) {
      for (let at = 0; at < bytes.length;) {
        const byte = bytes[at]!
        if (state === 'string' || state === 'name') at = inString(bytes, at)
        else if (state === 'number') {
          if (isNumberByte(byte)) {
            if (text !== undefined) text = text.length < MAX_DIGITS ? text + String.fromCharCode(byte) : undefined
            at++
          } else numberEnded()
        } else if (state === 'literal') {
          if (byte !== literal.charCodeAt(literalAt++)) state = 'failed'
          else if (literalAt === literal.length) state = 'after'
          at++
        } else if (state === 'escape' || state === 'name escape') {
          state = !isEscape(byte) ? 'failed' : state === 'escape' ? 'string' : 'name'
          at++
        } else if (state === 'failed') return
        else {
          step(byte)
          at++
        }
      }
    },
    end () {
      if (state === 'number') numberEnded()
      return state === 'after' && stack.length === 0 ? counts : undefined
    }
  }
}

function isSpace (byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

function isDigit (byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

function isNumberByte (byte: number): boolean {
  return isDigit(byte) || byte === 0x2e || byte === 0x2d || byte === 0x2b || byte === 0x65 || byte === 0x45
}

const ESCAPES = new Set(Buffer.from('"\\/bfnrtu'))

function isEscape (byte: number): boolean {
  return ESCAPES.has(byte)
}
