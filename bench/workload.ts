/**
 * The workload of the measurements: sends back what it got, once it has all of it. (Where an answer begins earlier,
 * reply-from has the client's connection closed.) On a bare socket, since on a machine with few cores what the workload
 * takes is taken from what is measured.
 */
import { createServer } from 'node:net'
import { createMessageEnd } from './message-end.ts'

createServer({ noDelay: true }, socket => {
  const message = createMessageEnd()
  let answer: Buffer[] = []
  function send (): void {
    socket.cork()
    for (const piece of answer) socket.write(piece)
    socket.uncork()
    answer = []
  }
  socket.on('data', (octets: Buffer) => {
    const head = message.push(octets)
    if (head === undefined) answer.push(octets)
    else {
      answer.push(
        Buffer.from(`HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n${message.framing}\r\n\r\n`),
        octets.subarray(head.length)
      )
    }
    // undici resets a connection whose response ends before it knows that its request has.
    if (message.ended) setImmediate(send)
  })
  // A server that ends resets what it holds open.
  socket.on('error', () => socket.destroy())
}).listen(Number(process.env['PORT']), '127.0.0.1')
