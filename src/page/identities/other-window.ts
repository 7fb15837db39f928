import { PageError } from '../errors.ts'
import { Cancelled } from '../factors/proof.ts'
import { texts } from '../later-texts.ts'
import { stateOf } from './flows.ts'

/** What the server needs after a sign-in at the provider. */
export interface ProviderAnswer { readonly flow: string, readonly response: string }

/** Where the provider is, and what the server needs with its answer. */
export type Begin = () => Promise<{ readonly url: string, readonly flow: string }>

/** A window in which the provider has answered asks the others which of them has begun. */
interface Answered { readonly state: string, readonly response: string }

/** The answer of the window that has begun. */
interface Taken { readonly taken: string }

const CHANNEL = 'magicstore identities'

/** In which window a person signs in at the provider: a small one, beside the page. */
const FEATURES = 'popup,width=560,height=720'

/** Opens a window for {@link askProvider}. Browsers allow it only in a click, before anything is waited for. */
export function openWindow (): Window | undefined {
  const opened = open('', '_blank', FEATURES) ?? undefined
  // The provider gets no hold of this page.
  if (opened !== undefined) opened.opener = null
  return opened
}

/**
 * Goes to the provider in another window, and waits for its answer. An abort closes the window, if it has not left yet.
 * @throws PageError if the browser has not opened it, what `begin` throws, and Cancelled after an abort.
 */
export async function askProvider (
  opened: Window | undefined, begin: Begin, signal: AbortSignal
): Promise<ProviderAnswer> {
  if (opened === undefined) throw new PageError(texts.identities.blocked)
  try {
    const { url, flow } = await begin()
    signal.throwIfAborted()
    const answered = waitForAnswer(stateOf(new URL(url).search), signal)
    opened.location.replace(url)
    return { flow, response: await answered }
  } catch (error) {
    opened.close()
    throw error
  }
}

function waitForAnswer (state: string, signal: AbortSignal): Promise<string> {
  const channel = new BroadcastChannel(CHANNEL)
  return new Promise<string>((resolve, reject) => {
    channel.onmessage = ({ data }: MessageEvent<Answered>) => {
      if (data.state !== state) return
      channel.postMessage({ taken: state } satisfies Taken)
      resolve(data.response)
    }
    signal.addEventListener('abort', () => reject(new Cancelled()))
  }).finally(() => channel.close())
}

/** Offers an answer of the provider to the other windows. Calls `onTaken` when the one that has begun has it. */
export function offerAnswer (response: string, onTaken: () => void): () => void {
  const channel = new BroadcastChannel(CHANNEL)
  const state = stateOf(response)
  channel.onmessage = ({ data }: MessageEvent<Taken>) => { if (data.taken === state) onTaken() }
  channel.postMessage({ state, response } satisfies Answered)
  return () => channel.close()
}
