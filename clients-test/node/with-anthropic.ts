/** @anthropic-ai/sdk in Node, told nothing but a base URL. Prints what it was answered. */
import Anthropic from '@anthropic-ai/sdk'

const client = new Anthropic(
  { apiKey: process.env['API_KEY'] ?? '', baseURL: process.env['BASE_URL'] ?? '', maxRetries: 0 }
)
const request = {
  model: 'tiny', max_tokens: 100, messages: [{ role: 'user' as const, content: process.env['QUESTION'] ?? '' }]
}
const whole = await client.messages.create(request)
const stream = client.messages.stream(request)
const pieces: string[] = []
stream.on('text', text => pieces.push(text))
await stream.finalMessage()
const [first] = whole.content
process.stdout.write(JSON.stringify({ chat: first?.type === 'text' ? first.text : undefined, pieces }))
