import { render } from 'preact'
import { App } from './app.tsx'
import { watchDialogs } from './dialog-history.ts'
import { watchChanges } from './files/live.ts'
import { restoreSession, watchSession } from './session.ts'
import { removeNamedFingerprints } from './uploads/fingerprints.ts'
import { watchView } from './view.ts'
import { connectWorker } from './worker-link.ts'

removeNamedFingerprints()
void restoreSession()
watchSession()
watchView()
watchDialogs()
watchChanges()
// Without the service worker, downloads are loaded into memory first.
connectWorker().catch(() => {})
render(<App />, document.body)
