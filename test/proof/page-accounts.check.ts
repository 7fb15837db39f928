// The stories of accounts, links and /docs in the page, in one browser. Each has a context and an account of its own.

import './page/account.ts'
import './page/docs.ts'
import './page/factors.ts'
import './page/install.ts'
import './page/link.ts'
import './page/links.ts'
import './page/locks.ts'
import './page/session.ts'
import './page/shortcuts.ts'
