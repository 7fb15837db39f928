import { accountOf } from './kept-account.ts'
import { sharedServer, signUp, type Settings } from './server.ts'

/** A new account on the server that the test file shares. */
export async function openSharedAccount (settings: Settings = {}) {
  const server = await sharedServer(settings)
  const { id, user, token } = await signUp(server)
  return { ...accountOf(server, token), id, user, token, server, dataDir: server.dataDir }
}
