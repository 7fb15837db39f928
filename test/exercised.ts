import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { exchangesFolder } from './kit/conformance.ts'
import { inlineResponses } from './kit/document.ts'
import { root } from './kit/root.ts'

/**
 * After the tests: every documented pair of operation and status, and every documented code, was answered in some test.
 * Prints the counts; exits with 1 and lists what no test has produced.
 */
interface Operation {
  operationId: string
  responses: Record<string, { content?: Record<string, { examples?: Record<string, unknown> }> }>
}

const { paths } = inlineResponses(JSON.parse(readFileSync(join(root, 'openapi/openapi.json'), 'utf8')))
const lines = readdirSync(exchangesFolder).flatMap(name => readFileSync(`${exchangesFolder}/${name}`, 'utf8').trimEnd().split('\n'))
rmSync(exchangesFolder, { recursive: true })

const operations = Object.values<Record<string, Operation>>(paths).flatMap(item => Object.values(item))
const seenPairs = new Set(lines.map(line => line.split(' ', 2).join(' ')))
const seenCodes = new Set(lines.map(line => line.split(' ')[2]))
const pairs = operations.flatMap(({ operationId, responses }) => Object.keys(responses).map(status => `${operationId} ${status}`))
const codes = new Set(operations.flatMap(({ responses }) => Object.values(responses).flatMap(({ content }) => Object.keys(content?.['application/problem+json']?.examples ?? {}))))

const missing = [...pairs.filter(pair => !seenPairs.has(pair)), ...Array.from(codes).filter(code => !seenCodes.has(code)).map(code => `code ${code}`)]
const exercised = pairs.filter(pair => seenPairs.has(pair)).length
console.log(`${operations.length} operations, ${exercised} of ${pairs.length} documented answers exercised, ${codes.size} codes`)
for (const entry of missing) console.log(`never answered: ${entry}`)
process.exitCode = missing.length === 0 ? 0 : 1
