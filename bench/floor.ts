/** The floor: Fastify and @fastify/reply-from, and nothing else. */
import replyFrom from '@fastify/reply-from'
import fastify from 'fastify'

const app = fastify()
app.register(replyFrom, { base: process.env['POLARIS_CONTAINER_WORKLOAD_BASE_URL'] ?? '', disableRequestLogging: true })
app.removeAllContentTypeParsers()
app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
app.all('*', (_request, reply) => reply.from())
await app.listen({ host: '127.0.0.1', port: Number(process.env['PORT']) })
