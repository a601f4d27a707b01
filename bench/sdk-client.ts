/** The SDK's fetch in a process of its own: sends what it is told to, and answers with how long each took. */
import { createPolarisFetch } from '../sdk/fetch/index.ts'
import { carryOut } from './local-proxy-load.ts'
import type { Order } from './local-proxy-load.ts'

const fetch = createPolarisFetch({ baseURL: process.env['PROXY_URL'] ?? '' })

process.on('message', async (order: Order) => {
  const milliseconds = await carryOut(order, async (path, body) => {
    const response = await fetch(path, body === undefined ? {} : { method: 'POST', body })
    return response.body ?? new Blob([]).stream()
  })
  process.send?.(milliseconds)
})
process.send?.('ready')
