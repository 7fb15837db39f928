import './page/account.ts'
import './page/factors.ts'
