import { fault, type Rule } from './rule.ts';

const URL_START = /^postgres(?:ql)?:\/\//i;
/** As in `host=db user=app dbname=llm`. */
const KEYWORDS = /^\s*[a-z_]\w*\s*=/i;

/** `dbaddr` names a place of the kind that `dbtype` says. */
export const recordsHaveAPlace: Rule = ({ config: { dbtype, dbaddr }, isIncomplete }) => {
  if (isIncomplete('dbtype') || isIncomplete('dbaddr')) return [];
  const isAddress = URL_START.test(dbaddr) || KEYWORDS.test(dbaddr);
  if (dbtype === 'postgres' && !isAddress)
    return [
      fault(
        ['dbaddr'],
        'must be a postgres:// URL or a libpq keyword string such as "host=db user=app dbname=llm"',
      ),
    ];
  if (dbtype === 'sqlite' && URL_START.test(dbaddr))
    return [fault(['dbaddr'], 'is the address of a PostgreSQL: set dbtype: postgres, or name a file')];
  return [];
};
