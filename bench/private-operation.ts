/** Tells the parent the CPU microseconds of one RSA-4096 private operation with a parsed key. */
import { constants, generateKeyPairSync, privateDecrypt, publicEncrypt, randomBytes } from 'node:crypto'

const WARM_UP = 50
const COUNT = 300

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 4096 })
const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }
const wrapped = publicEncrypt({ key: publicKey, ...padding }, randomBytes(32))
let before = process.cpuUsage()
for (let i = -WARM_UP; i < COUNT; i++) {
  if (i === 0) before = process.cpuUsage()
  privateDecrypt({ key: privateKey, ...padding }, wrapped)
}
const { user, system } = process.cpuUsage(before)
process.send?.((user + system) / COUNT)
