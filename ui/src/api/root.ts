/** What is before `/ui/` in the address of the page: the gateway's `base_path`, or nothing. */
export const ROOT = location.pathname.replace(/\/ui(?:\/.*)?$/, '');
