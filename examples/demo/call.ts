/**
 * One encrypted request from the command line, as curl would send one in clear.
 *
 *     node examples/demo/call.ts <proxy url> [path] [JSON body]
 */
import axios from 'axios'
import { EphemeralKeyHandler, PolarisSDK, createAxiosRequestInterceptor, createAxiosResponseInterceptor } from '../../sdk/index.ts'

const [baseURL, path = '/', body] = process.argv.slice(2)

if (baseURL === undefined) {
  console.error('usage: node examples/demo/call.ts <proxy url> [path] [JSON body]')
  process.exitCode = 2
} else {
  const polarisSDK = new PolarisSDK(new EphemeralKeyHandler())
  // Any status is an answer.
  const client = axios.create({ baseURL, validateStatus: null })
  client.interceptors.request.use(createAxiosRequestInterceptor({ polarisSDK }))
  client.interceptors.response.use(createAxiosResponseInterceptor({ polarisSDK }))
  try {
    const { status, data } = body === undefined
      ? await client.get(path)
      : await client.post(path, body, { headers: { 'content-type': 'application/json' } })
    console.log(status, data)
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}
