/** The openai package in Node, told nothing but a base URL. Prints what it was answered. */
import OpenAI from 'openai'

const client = new OpenAI({ apiKey: process.env['API_KEY'] ?? '', maxRetries: 0 })
const messages = [{ role: 'user' as const, content: process.env['QUESTION'] ?? '' }]
const whole = await client.chat.completions.create({ model: 'tiny', messages })
const pieces: string[] = []
for await (const chunk of await client.chat.completions.create({ model: 'tiny', messages, stream: true })) {
  const piece = chunk.choices[0]?.delta.content
  if (piece) pieces.push(piece)
}
process.stdout.write(JSON.stringify({ chat: whole.choices[0]?.message.content, pieces }))
