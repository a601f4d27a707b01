/** Which addresses belong to a proxy whose word about its client is believed. */
import { BlockList, isIP } from 'node:net'

/** @param trustProxy as `POLARIS_CONTAINER_TRUST_PROXY`, valid */
export function trustedProxies (trustProxy: string): (address: string | undefined) => boolean {
  if (trustProxy === 'true') return () => true
  if (trustProxy === 'false') return () => false
  const list = new BlockList()
  for (const entry of trustProxy.split(',')) {
    const [address = '', bits] = entry.trim().split('/')
    if (bits === undefined) list.addAddress(address, familyOf(address))
    else list.addSubnet(address, Number(bits), familyOf(address))
  }
  return address => address !== undefined && isIP(address) !== 0 && list.check(address, familyOf(address))
}

function familyOf (address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4'
}
