import { useEffect, useState } from 'preact/hooks'
import { ActionButton } from '../action-button.tsx'
import { ProblemText } from '../problem.tsx'
import { request } from '../requests.ts'
import { texts } from '../later-texts.ts'
import { Time } from '../time.tsx'
import { useAction } from '../use-action.ts'
import { Section, Unloaded } from './section.tsx'

const PAGE_EVENTS = 10

type AccountEvent = Awaited<ReturnType<typeof loadPage>>['events'][number]

async function loadPage (cursor: string | undefined) {
  const query = { limit: PAGE_EVENTS, ...(cursor !== undefined && { cursor }) }
  return request(api => api.GET('/api/account/events', { params: { query } }))
}

/** Security events of the account, newest first. */
export function EventSection ({ hasPassword }: { hasPassword: boolean }) {
  const [events, setEvents] = useState<AccountEvent[]>()
  const [next, setNext] = useState<string | null>()
  const loading = useAction(async () => {
    const page = await loadPage(next ?? undefined)
    setEvents([...events ?? [], ...page.events])
    setNext(page.next)
  })
  const { run, error } = loading
  useEffect(() => { void run() }, [])
  return (
    <Section title={texts.account.events} hint={texts.account.eventsHint(hasPassword)}>
      {events === undefined
        ? <Unloaded error={error} reload={run} />
        : (
          <>
            <ul class='rows'>{events.map(event => <EventRow key={event.id} {...event} />)}</ul>
            <ProblemText error={error} />
            {next !== null && (
              <div class='actions'>
                <ActionButton action={loading}>{texts.account.showMore}</ActionButton>
              </div>
            )}
          </>
        )}
    </Section>
  )
}

function EventRow ({ kind, network, createdAt }: AccountEvent) {
  const { kinds, from } = texts.account
  const networks: Record<string, string | undefined> = texts.account.networks
  return (
    <li>
      <div>
        <p class='name'>{kinds[kind]}</p>
        <p class='hint'><Time timestamp={createdAt} /><span>{networks[network] ?? from(network)}</span></p>
      </div>
    </li>
  )
}
