/** Names and meanings of what servers refuse with (C706 appendix E and 12.6.3.1; MS-RPCE 2.2.2; MS-ERREF 2.2). */

const FAULTS: Readonly<Record<number, string>> = {
  5: 'nca_s_fault_access_denied: access denied',
  1726: 'RPC_S_CALL_FAILED: the call failed',
  1745: 'RPC_S_PROCNUM_OUT_OF_RANGE: no such operation',
  1747: 'RPC_S_UNKNOWN_AUTHN_SERVICE: the authentication service is unknown',
  1764: 'RPC_S_CANNOT_SUPPORT: the operation is not supported',
  1783: 'nca_s_fault_ndr: bad stub data, the server could not read the request',
  1825: 'nca_s_fault_sec_pkg_error: the security package refused',
  469762049: 'nca_s_fault_int_div_by_zero',
  469762050: 'nca_s_fault_addr_error: the server met an invalid address',
  469762054: 'nca_s_fault_invalid_tag: a union has an unknown arm',
  469762055: 'nca_s_fault_invalid_bound: a count is outside its range',
  469762056: 'nca_s_rpc_version_mismatch',
  469762057: 'nca_s_unspec_reject: refused without a reason',
  469762061: 'nca_s_fault_cancel: the call was cancelled',
  469762074: 'nca_s_fault_context_mismatch: the context handle is not (or no longer) known',
  469762075: 'nca_s_fault_remote_no_memory: the server is out of memory',
  469827585: 'nca_s_comm_failure',
  469827586: 'nca_s_op_rng_error: no such operation in this interface',
  469827587: 'nca_s_unk_if: the server does not know the interface',
  469827595: 'nca_s_proto_error: the server calls our PDU a protocol error',
  469827603: 'nca_s_out_args_too_big: the reply is too large for the server',
  469827604: 'nca_s_server_too_busy: the server is too busy',
  469827607: 'nca_s_unsupported_type',
};

/** `0x1c010002, nca_s_op_rng_error: …`, or the number alone where it is not known. */
export function faultText(status: number): string {
  const number = `0x${status.toString(16).padStart(8, '0')}`;
  const name = FAULTS[status];
  return name === undefined ? number : `${number}, ${name}`;
}

const BIND_NAK_REASONS: Readonly<Record<number, string>> = {
  0: 'reason not specified',
  1: 'temporary congestion',
  2: 'local limit exceeded',
  4: 'protocol version not supported',
  8: 'authentication type not recognized',
  9: 'invalid checksum',
};

/** provider_reject_reason of bind_nak. */
export function bindNakText(reason: number): string {
  return BIND_NAK_REASONS[reason] ?? `reason ${reason}`;
}

const PROVIDER_REASONS: Readonly<Record<number, string>> = {
  0: 'reason not specified',
  1: 'the server does not offer this interface',
  2: 'no proposed transfer syntax is supported',
  3: 'local limit exceeded',
};

/** p_result_reason of a rejected presentation context. */
export function presentationResultText(result: number, reason: number): string {
  return `${result === 1 ? 'user' : 'provider'} rejection, ${PROVIDER_REASONS[reason] ?? `reason ${reason}`}`;
}
