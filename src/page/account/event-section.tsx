import { useEffect, useState } from 'preact/hooks'
import { formatTime } from '../format.ts'
import { ProblemText } from '../problem.tsx'
import { request } from '../requests.ts'
import { texts } from '../texts.ts'
import { useAction } from '../use-action.ts'
import { Section, Unloaded } from './section.tsx'

const PAGE_EVENTS = 10

type AccountEvent = Awaited<ReturnType<typeof loadPage>>['events'][number]

async function loadPage (cursor: string | undefined) {
  const query = { limit: PAGE_EVENTS, ...(cursor !== undefined && { cursor }) }
  return request(api => api.GET('/api/account/events', { params: { query } }))
}

/** Security events of the account, newest first. */
export function EventSection () {
  const [events, setEvents] = useState<AccountEvent[]>()
  const [next, setNext] = useState<string | null>()
  const { run, isRunning, error } = useAction(async () => {
    const page = await loadPage(next ?? undefined)
    setEvents([...events ?? [], ...page.events])
    setNext(page.next)
  })
  useEffect(() => { void run() }, [])
  return (
    <Section title={texts.account.events} hint={texts.account.eventsHint}>
      {events === undefined
        ? <Unloaded error={error} reload={run} />
        : (
          <>
            <ul class='rows'>{events.map(event => <EventRow key={event.id} {...event} />)}</ul>
            <ProblemText error={error} />
            {next !== null && (
              <div class='actions'>
                <button type='button' aria-disabled={isRunning} onClick={() => { void run() }}>{texts.account.showMore}</button>
              </div>
            )}
          </>
        )}
    </Section>
  )
}

function EventRow ({ kind, network, createdAt }: AccountEvent) {
  const { kinds, networks, from } = texts.account
  return (
    <li>
      <div>
        <p class='name'>{kinds[kind] ?? kind}</p>
        <p class='hint'><time dateTime={createdAt}>{formatTime(createdAt)}</time><span>{networks[network] ?? from(network)}</span></p>
      </div>
    </li>
  )
}
