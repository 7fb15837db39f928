import { signal } from '@preact/signals'
import { createMagicStore, MagicStoreError, type MagicStore, type Password } from 'magicstore'
import { whenHistoryMatches } from '../dialog-history.ts'
import { baseUrl } from '../folder.ts'
import { texts } from '../texts.ts'
import type { Proof } from './passkeys.ts'

/** What can be asked for beside the password. */
export type CodeFactor = 'totp' | 'passkey' | 'recovery_code'

/** What the server demands in addition to the password: a code, or that a second factor is set up first. */
export interface Demand {
  readonly kind: 'code' | 'setup'
  readonly proof: Proof
  /** The second factors of the account. */
  readonly factors: readonly CodeFactor[]
  /** Why the user is asked, if it is not clear, such as for a second code. */
  readonly note: string | undefined
  /** Why the last code was refused. */
  readonly error: unknown
  /** Whether the answer has been sent, and the server has not responded. */
  readonly isAnswered: boolean
  readonly answer: (code?: string) => void
  readonly cancel: () => void
}

/** What the user is being asked for. */
export const demand = signal<Demand | undefined>(undefined)

/** Thrown if the user closes the dialog. */
export class Cancelled extends Error {}

/**
 * Calls operations that take the password, and asks the user for a code if the server demands one.
 * @throws MagicStoreError if the server refuses, TypeError if it can't be reached, and Cancelled.
 */
export async function withProof<Result> (
  account: Password, request: (store: MagicStore) => Promise<Result>, note?: string
): Promise<Result> {
  return withCode(account, code => request(createMagicStore({ baseUrl, credentials: { ...account, code } })), note)
}

/** The same for a request that may take the secret of a reset. Each code is sent once. */
export async function withCode<Result> (
  proof: Proof, request: (code?: string) => Promise<Result>, note?: string
): Promise<Result> {
  let code: string | undefined
  let isSetUp = false
  let hasAsked = false
  let factors: readonly CodeFactor[] = []
  try {
    for (;;) {
      try {
        return await request(code)
      } catch (error) {
        const hadCode = code !== undefined
        const kind = kindOf(error, hadCode)
        hasAsked = true
        factors = factorsIn(error) ?? factors
        code = await ask({
          kind, proof, factors, note: isSetUp ? texts.factors.isSetUp : note, error: hadCode ? error : undefined
        })
        isSetUp ||= kind === 'setup'
      }
    }
  } finally {
    // A call by the dialog that sets up a factor must not dismiss the demand for it.
    if (hasAsked) await dismiss()
  }
}

function factorsIn (error: unknown): readonly CodeFactor[] | undefined {
  const { problem } = error instanceof MagicStoreError ? error : {}
  return problem?.factors?.filter(factor => factor !== 'password')
}

/** What the server demands by an error. @throws the error if that is nothing. */
function kindOf (error: unknown, hadCode: boolean): Demand['kind'] {
  const { code, problem } = error instanceof MagicStoreError ? error : {}
  if (code === 'second_factor_setup_required') return 'setup'
  if (code === 'second_factor_required') return 'code'
  // With a field, the error is about another code, in the body.
  const isWrong = code === 'second_factor_wrong' && problem?.errors === undefined
  if (hadCode && (isWrong || code === 'too_many_codes')) return 'code'
  throw error
}

function ask (asked: Pick<Demand, 'kind' | 'proof' | 'factors' | 'note' | 'error'>): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    demand.value = {
      ...asked,
      isAnswered: false,
      answer (code) {
        demand.value &&= { ...demand.value, isAnswered: true }
        resolve(code)
      },
      cancel: () => reject(new Cancelled())
    }
  })
}

async function dismiss (): Promise<void> {
  demand.value = undefined
  await whenHistoryMatches()
}
