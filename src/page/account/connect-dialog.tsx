import { bodyOf } from 'magicstore'
import { useId, useState } from 'preact/hooks'
import { ActionButton } from '../action-button.tsx'
import { Dialog } from '../dialog.tsx'
import { codeOf, PageError } from '../errors.ts'
import { type Account, withProof } from '../factors/proof.ts'
import { fieldsOf } from '../fields.tsx'
import { texts } from '../later-texts.ts'
import { notify } from '../notices.tsx'
import { ProblemText } from '../problem.tsx'
import { request } from '../requests.ts'
import { useAction } from '../use-action.ts'
import { ConfirmDialog } from './confirm-dialog.tsx'

type Connection = Awaited<ReturnType<typeof findConnection>>

interface ConnectDialogProps { hasPassword: boolean, onAllowed: () => Promise<void>, onClose: () => void }

/** Asks for the code that a program shows, then whether the program is allowed what it asks for. */
export function ConnectDialog ({ hasPassword, onAllowed, onClose }: ConnectDialogProps) {
  const [connection, setConnection] = useState<Connection>()
  const words = texts.account.connect
  if (connection === undefined) return <CodeDialog onFound={setConnection} onClose={onClose} />
  const { id, name, scopes, network, ownNetwork } = connection
  const allow = async (account: Account) => {
    await ofWaiting(withProof(account, async ({ api }) =>
      bodyOf(await api.POST('/api/connections/{id}/allow', { params: { path: { id } } }))))
    notify({ text: words.allowed(name) })
    onClose()
    await onAllowed()
  }
  return (
    <ConfirmDialog
      key='allow' hasPassword={hasPassword} title={words.allowTitle} label={words.allow} action={allow}
      onClose={onClose}
    >
      <p class='name'><bdi>{name}</bdi></p>
      {scopes.map(scope => <p key={scope}>{texts.account.scopes[scope].hint}</p>)}
      <p class='hint'>{words.networks(network, ownNetwork)}</p>
      <p class='warning'>{words.warning}</p>
      <RefuseButton id={id} onRefused={onClose} />
    </ConfirmDialog>
  )
}

function CodeDialog ({ onFound, onClose }: { onFound: (connection: Connection) => void, onClose: () => void }) {
  const id = useId()
  const words = texts.account.connect
  const { run, isRunning, error } = useAction(async (fields: FormData) =>
    onFound(await findConnection(String(fields.get('code')))))
  return (
    <Dialog key='code' title={words.title} onClose={onClose}>
      <form onSubmit={event => { void run(fieldsOf(event)) }}>
        <div class='field'>
          <label for={id}>{words.code}</label>
          <input
            id={id} name='code' class='code' required data-autofocus dir='ltr' autocapitalize='characters'
            autocomplete='off' spellcheck={false} maxLength={32} aria-invalid={error !== undefined}
            aria-describedby={`${id}-hint ${id}-problem`}
          />
          <ProblemText id={`${id}-problem`} error={error} />
          <p class='hint' id={`${id}-hint`}>{words.codeHint}</p>
        </div>
        <div class='actions end'>
          <button type='button' onClick={onClose}>{texts.cancel}</button>
          <button class='primary' aria-disabled={isRunning}>{words.continue}</button>
        </div>
      </form>
    </Dialog>
  )
}

function RefuseButton ({ id, onRefused }: { id: string, onRefused: () => void }) {
  const refusing = useAction(async () => {
    await ofWaiting(request(api => api.DELETE('/api/connections/{id}', { params: { path: { id } } })))
    onRefused()
  })
  return (
    <div class='actions'>
      <ActionButton action={refusing} class='danger'>{texts.account.connect.refuse}</ActionButton>
      <ProblemText error={refusing.error} />
    </div>
  )
}

async function findConnection (userCode: string) {
  return ofWaiting(request(api => api.POST('/api/connections/find', { body: { userCode } })))
}

/** What is done to a program that waits. While its user reads the question, it may have given up. */
async function ofWaiting<Result> (act: Promise<Result>): Promise<Result> {
  try {
    return await act
  } catch (error) {
    throw codeOf(error) === 'not_found' ? new PageError(texts.account.connect.unknown) : error
  }
}
