// Talks to the workload through the proxy, encrypted from end to end.
//
// usage: PROXY_URL=http://localhost:3000 node examples/client/client.ts
import {
  EphemeralKeyHandler, PolarisSDK, createAxiosRequestInterceptor, createAxiosResponseInterceptor
} from '@polaris-secure-proxy/sdk'
import axios from 'axios'

const proxy = process.env['PROXY_URL'] ?? 'http://localhost:3000'

const polarisSDK = new PolarisSDK(new EphemeralKeyHandler())
const client = axios.create({ baseURL: proxy })
client.interceptors.request.use(createAxiosRequestInterceptor({ polarisSDK }))
client.interceptors.response.use(createAxiosResponseInterceptor({ polarisSDK }))

const greeting = await client.get('/hello', {
  params: { name: 'Ada' },
  headers: { authorization: 'Bearer only-the-workload-sees-this' }
})
console.log('GET /hello:', greeting.status, greeting.data)

const echo = await client.post('/echo', { diagnosis: 'only the workload sees this' })
console.log('POST /echo:', echo.status, echo.data)
