import { hostname } from 'node:os'
import { readSyncSettings } from '../config.ts'
import { OperatorError } from '../problems.ts'
import { connectTo, NoAnswer } from '../sync/connection.ts'
import { keepToken } from '../sync/tokens.ts'
import { print, readArguments, UsageError, VALUE } from './command.ts'

export const help = `\
magicstore connect URL: let this computer use an account, without copying a token.

  --name NAME   what the page calls this computer; without it the name of this computer
  --json        one JSON object per line: userCode, verificationUrl and expiresAt; then username, url, name and file

The command prints a code of eight letters and the address of the server. Sign in there, type the code and allow the
connection. Then the token is in a file that only you can read, and magicstore sync takes it from there. It has the
scopes files:read and files:write, expires after 90 days, and is in the list of tokens of the account, where it can be
ended. Type a code only if it is on your own screen.

Exit codes: 0 connected; 1 refused, too late, or there is no server; 2 wrong usage.`

export async function run (args: string[]): Promise<void> {
  const { values, positionals: [address, ...rest] } = readArguments(args, { name: VALUE })
  if (address === undefined || rest.length > 0) {
    throw new UsageError('connect needs the address of a server; see magicstore connect --help')
  }
  const url = address.replace(/\/+$/, '')
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) throw new UsageError(`${address} is no address`)
  const name = values.name ?? `sync on ${hostname()}`
  const connected = await connectTo(url, { name, scopes: ['files:read', 'files:write'] }, waiting => {
    print(values, waiting, ({ userCode, verificationUrl }) =>
      `Open ${verificationUrl} and type ${userCode}\nWaiting until you allow the connection`)
  }).catch((error: unknown) => {
    const { message } = error as Error
    throw new OperatorError(error instanceof NoAnswer ? `the server can't be reached: ${message}` : message)
  })
  const { token, username } = connected
  const file = keepToken(readSyncSettings().tokenFolder, { url, token })
  print(values, { username, url, name, file }, () => `Connected as ${username}; the token is in ${file}`)
}
