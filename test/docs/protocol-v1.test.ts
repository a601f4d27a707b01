/** The example in docs/protocol-v1.md is right. */
import { createCipheriv } from 'node:crypto'
import t from 'tap'
import { encodeMessageHead } from '../../lib/protocols/polaris-v1.ts'
import { read } from '../fixtures/documents.ts'

const text = read('docs/protocol-v1.md')

function octets (name: string): Buffer {
  const [, hex = ''] = new RegExp(`^\\| ${name} \\| \`([0-9a-f]+)\` \\|$`, 'm').exec(text) ?? []
  return Buffer.from(hex, 'hex')
}

const cipher = createCipheriv('aes-256-gcm', octets('AES key'), octets('IV'))
const ciphertext = Buffer.concat([cipher.update(octets('plaintext')), cipher.final()])
const tag = cipher.getAuthTag()

t.equal(octets('plaintext').toString(), '/hello?name=Ada')
t.equal(ciphertext.toString('hex'), octets('ciphertext').toString('hex'))
t.equal(tag.toString('hex'), octets('tag').toString('hex'))
t.ok(text.includes(`"authTag":"${tag.toString('base64')}"`), 'the tag in base64')

const head = encodeMessageHead({ wrappedKey: Buffer.alloc(512), wrappedIV: Buffer.alloc(512), authTag: tag })
const message = Buffer.concat([head, ciphertext])
const row = (at: number, length: number) =>
  `${at.toString(16).padStart(4, '0')}  ${message.subarray(at, at + length).toString('hex').replace(/..(?!$)/g, '$& ')}`
t.ok(text.includes(row(0, 4)), 'the length of the header')
t.ok(text.includes(row(4, 15)), 'how the header begins')
t.ok(text.includes(row(head.length, ciphertext.length)), 'where the ciphertext is')
t.match(
  text, new RegExp(`^${message.length.toString(16).padStart(4, '0')} +end: ${message.length} octets$`, 'm'),
  'where it ends'
)
t.ok(
  text.includes(`${message.toString('base64').length} characters, \`${message.toString('base64').slice(0, 24)}…\``),
  'how it looks in a header'
)
