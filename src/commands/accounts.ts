import type { AccountRepository } from '../metadata/accounts.ts'
import type { AccountRecord } from '../metadata/records.ts'

/** Accounts read at a time. */
const PAGE = 500

/** All accounts, by id. */
export async function * allAccounts (accounts: Pick<AccountRepository, 'listAfter'>): AsyncGenerator<AccountRecord> {
  let afterId: number | undefined = 0
  while (afterId !== undefined) {
    const page: AccountRecord[] = await accounts.listAfter(afterId, PAGE)
    yield * page
    afterId = page.at(-1)?.id
  }
}
