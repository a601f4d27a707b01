/**
 * Answers that do not wait for all of the request: the client, which still sends, must not lose them. A workload that
 * was told the length of a body has all of it before the client has sent the proof of its end, and may answer then;
 * reply-from has the connection closed after such an answer.
 */
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { encodeRequestHead } from '../../../lib/protocols/bhttp/writer.ts'
import { readResponse } from '../../../sdk/ohttp/bhttp-stream.ts'
import { startChunkedExchange } from '../../../sdk/ohttp/client.ts'
import { CHUNKED_REQUEST_MEDIA_TYPE } from '../../../lib/protocols/ohttp/ohttp.ts'
import { encapsulate, fetchKey, requestHead } from '../../fixtures/ohttp-client.ts'
import { collectStream, streamOf } from '../../fixtures/ohttp.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawClient, startRawWorkload } from '../../fixtures/raw.ts'

const CONTENT = Buffer.alloc(1000, 'x')

t.test('the answer arrives, and nothing is reset by what the client sends after it', async t => {
  const workload = await startRawWorkload(t, (socket, received) => {
    if (received.subarray(-CONTENT.length).equals(CONTENT)) {
      socket.write('HTTP/1.1 200 OK\r\nx-answer: early\r\ncontent-length: 0\r\n\r\n')
    }
  })
  const { url, port } = await startProxy(t, { workloadBaseUrl: workload.url })
  const config = await fetchKey(url)
  const [suite] = config.suites
  if (suite === undefined) throw new Error('There is no suite')
  const exchange = await startChunkedExchange({ config, suite })
  const sealing = exchange.sealStream()
  const plaintext = sealing.writable.getWriter()

  const client = await rawClient(t, port, { allowHalfOpen: true })
  const errors: Error[] = []
  client.socket.on('error', error => errors.push(error))
  client.send('POST / HTTP/1.1\r\nhost: proxy.example\r\ncontent-type: ' +
    `${CHUNKED_REQUEST_MEDIA_TYPE}\r\ntransfer-encoding: chunked\r\n\r\n`)
  const sent = (async () => {
    for await (const octets of sealing.readable) {
      client.send(`${octets.length.toString(16)}\r\n`)
      client.send(octets)
      client.send('\r\n')
    }
    client.send('0\r\n\r\n')
  })()

  const ended = once(client.socket, 'end')
  // All of the request inside, as its length says; but not the final chunk.
  await plaintext.write(encodeRequestHead(requestHead('POST', '/'), CONTENT.length))
  await plaintext.write(CONTENT)
  await ended
  const answer = client.text()
  t.match(answer, /^HTTP\/1\.1 200 OK\r\n/)
  t.match(answer, /^connection: close\r$/m)

  await plaintext.close()
  await sent
  // A reset, were there one, would come for what has just been sent.
  await setTimeout(200)
  t.equal(client.socket.writable, true)
  client.socket.end()
  await client.end
  t.strictSame(errors, [])

  const sealed = Buffer.from(answer.slice(answer.indexOf('\r\n\r\n') + 4), 'latin1')
  const { head, body } = await readResponse(streamOf([sealed]).pipeThrough(exchange.openStream()))
  t.strictSame([head.status, new Map(head.headers).get('x-answer')], [200, 'early'])
  t.equal((await collectStream(body)).length, 0, 'with the proof of its end')
})

t.test('a refusal of the head lets the client send the rest of a large body', async t => {
  const { url, port } = await startProxy(t, { workloadBaseUrl: 'http://127.0.0.1:9' })
  const stale = { ...requestHead('POST', '/'), headers: [['date', new Date(0).toUTCString()]] as const }
  const { message } = await encapsulate(await fetchKey(url), stale, Buffer.alloc(32 * 2 ** 20))

  const client = await rawClient(t, port, { allowHalfOpen: true })
  const errors: Error[] = []
  client.socket.on('error', error => errors.push(error))
  client.send('POST / HTTP/1.1\r\nhost: proxy.example\r\ncontent-type: ' +
    `${CHUNKED_REQUEST_MEDIA_TYPE}\r\ncontent-length: ${message.length}\r\n\r\n`)
  client.send(message.subarray(0, 2 ** 20))
  await once(client.socket, 'end')
  t.match(
    client.text(), /^HTTP\/1\.1 400 Bad Request\r\n[^]*"https:\/\/iana\.org\/assignments\/http-problem-types#date"/
  )

  // More than sockets hold: all of it is taken only where somebody reads.
  const taken = once(client.socket, 'finish')
  client.socket.end(message.subarray(2 ** 20))
  await taken
  await client.end
  t.strictSame(errors, [])
})
