/**
 * One encrypted request from the command line, as curl would send one in clear.
 *
 *     node examples/demo/call.ts <proxy url> [path] [JSON body]
 */
import { createPolarisFetch } from '../../sdk/index.ts'

const [baseURL, path = '/', body] = process.argv.slice(2)

if (baseURL === undefined) {
  console.error('usage: node examples/demo/call.ts <proxy url> [path] [JSON body]')
  process.exitCode = 2
} else {
  const fetch = createPolarisFetch({ baseURL })
  try {
    const response = await fetch(
      path, body === undefined ? {} : { method: 'POST', body, headers: { 'content-type': 'application/json' } }
    )
    const text = await response.text()
    // Any status is an answer.
    console.log(response.status, response.headers.get('content-type')?.includes('json') ? JSON.parse(text) : text)
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}
