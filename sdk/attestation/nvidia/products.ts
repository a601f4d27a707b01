/**
 * What a GPU is sold as. Its certificates name the chip only, and one chip is in several products; the board and the
 * chip's variant are in the signed opaque data. `nvidia-smi -q` prints the same numbers beside the product: an H100 has
 * board G520.0200 and part number 2330-885-A1, an H200 has G520.0280 and 2335-895-A1, a B200 has G525.0220 and
 * 2901-886-A1.
 */
import { chipOf } from './certificates.ts'
import type { Gpu } from './request.ts'

const PRODUCTS: Readonly<Record<string, string>> = {
  'GH100 G520 885': 'H100',
  'GH100 G520 895': 'H200',
  'GB100 G525 886': 'B200'
}

/** The name of the product, or that of the chip if it is not known which product it is in. */
export function productOf ({ chain, evidence: { board = '', variant = '' } }: Gpu): string | undefined {
  const chip = chipOf(chain)
  const key = `${chip} ${board} ${variant}`
  return Object.hasOwn(PRODUCTS, key) ? PRODUCTS[key] : chip
}
