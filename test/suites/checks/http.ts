import '../../proof/contract-change.check.ts'
import '../../proof/openapi.check.ts'
import '../../proof/protection.check.ts'
