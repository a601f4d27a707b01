/**
 * What Intel certifies about a platform in its provisioning certification key's certificate (Intel, "SGX PCK
 * Certificate and Certificate Revocation List Profile Specification", section 1.3.5).
 */
import { fromHex, sameBytes, toHex } from '../bytes.ts'
import type { Bytes } from '../../../lib/protocols/bytes.ts'
import type { ParsedCertificate } from '../x509/certificate.ts'
import { readElement } from '../x509/der.ts'

const SGX_EXTENSIONS = '1.2.840.113741.1.13.1'
/** Content of the object identifier above, which those inside begin with. */
const PREFIX = fromHex('2a864886f84d010d01') ?? new Uint8Array()

export interface PlatformCertificate {
  /** 16 numbers: the security versions of the platform's components. */
  readonly components: readonly number[]
  readonly pcesvn: number
  /** Hexadecimal, 6 and 2 bytes. */
  readonly fmspc: string
  readonly pceid: string
}

/** @throws {RangeError} the certificate is not one of a platform */
export function readPlatformCertificate ({ extensions }: ParsedCertificate): PlatformCertificate {
  const extension = extensions.get(SGX_EXTENSIONS)
  if (!extension) throw new RangeError('the certificate is not one of a platform')
  const values = readValues(extension, 0x30)
  const tcb = readValues(value(values, '02').whole, 0x30)
  return {
    components: Array.from({ length: 16 }, (_, i) =>
      smallInteger(value(tcb, `02${toHex(Uint8Array.of(i + 1))}`), 0xff)
    ),
    pcesvn: smallInteger(value(tcb, '0211'), 0xffff),
    fmspc: octets(value(values, '04'), 6),
    pceid: octets(value(values, '03'), 2)
  }
}

interface Value {
  readonly tag: number
  readonly content: Bytes
  readonly whole: Bytes
}

/** A sequence of pairs of object identifier and value; the keys are what follows the prefix, in hexadecimal. */
function readValues (der: Bytes, tag: number): Map<string, Value> {
  const sequence = readElement(der, 0, tag)
  if (sequence.end !== der.length) throw new RangeError('the extension of the certificate is malformed')
  const values = new Map<string, Value>()
  for (let at = 0; at < sequence.content.length;) {
    const pair = readElement(sequence.content, at, 0x30)
    const identifier = readElement(pair.content, 0, 0x06)
    const found = readElement(pair.content, identifier.end, pair.content[identifier.end] ?? 0)
    const suffix = toHex(identifier.content.subarray(PREFIX.length))
    const known = sameBytes(identifier.content.subarray(0, PREFIX.length), PREFIX)
    if (!known || found.end !== pair.content.length || values.has(suffix)) {
      throw new RangeError('the extension of the certificate is malformed')
    }
    values.set(suffix, found)
    at = pair.end
  }
  return values
}

function value (values: ReadonlyMap<string, Value>, suffix: string): Value {
  const found = values.get(suffix)
  if (!found) throw new RangeError('the extension of the certificate lacks a member')
  return found
}

function octets ({ tag, content }: Value, length: number): string {
  if (tag !== 0x04 || content.length !== length) throw new RangeError('the extension of the certificate is malformed')
  return toHex(content)
}

function smallInteger ({ tag, content }: Value, most: number): number {
  const number = content.reduce((sum, byte) => sum * 256 + byte, 0)
  const [first = 0xff] = content
  if (tag !== 0x02 || content.length > 3 || first >= 0x80 || number > most) {
    throw new RangeError('the extension of the certificate is malformed')
  }
  return number
}
