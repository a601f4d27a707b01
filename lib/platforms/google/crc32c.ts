/** CRC-32C (Castagnoli; RFC 3720, appendix B.4), with which Google Cloud guards what is sent against corruption. */

const POLYNOMIAL = 0x82f63b78 // reflected

const TABLE = Uint32Array.from({ length: 256 }, (_, octet) => {
  let crc = octet
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) * POLYNOMIAL)
  return crc
})

/** The checksum as an unsigned 32-bit integer. */
export function crc32c (data: Uint8Array): number {
  let crc = 0xffffffff
  for (const octet of data) crc = (crc >>> 8) ^ (TABLE[(crc ^ octet) & 0xff] ?? 0)
  return (crc ^ 0xffffffff) >>> 0
}
