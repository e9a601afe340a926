// The Node-API door: `NativeAddon` of src/hasher/types.ts. It checks kinds, sizes and limits; what stands behind it
// trusts its arguments. It keeps no state: every environment gets functions of its own and nothing else.
#include <napi.h>

#include <deque>
#include <limits>
#include <string>
#include <vector>

#include "cpu_features.h"
#include "dispatch.h"
#include "hash_batch.h"
#include "orgid_batch.h"
#include "secure_zero.h"

namespace phsync {
namespace {

constexpr uint32_t kMaxPbkdf2Iterations = std::numeric_limits<int32_t>::max();
constexpr uint32_t kMaxDerivedKeySize = std::numeric_limits<int32_t>::max();
/// In place of a kernel's name: whatever is cheapest.
constexpr const char* kAuto = "auto";

[[noreturn]] void throw_type(const Napi::CallbackInfo& info, const std::string& message) {
  throw Napi::TypeError::New(info.Env(), message);
}

[[noreturn]] void throw_range(const Napi::CallbackInfo& info, const std::string& message) {
  throw Napi::RangeError::New(info.Env(), message);
}

template <class T>
struct View {
  T* data;
  size_t size;
};

/// The memory of a typed array, which may be a SharedArrayBuffer's: the view is asked, never its buffer.
template <class T>
View<T> view(const Napi::CallbackInfo& info, size_t index, const char* name, napi_typedarray_type wanted,
             const char* wanted_name) {
  const Napi::Value value = info[index];
  napi_typedarray_type type = napi_uint8_array;
  size_t length = 0;
  void* data = nullptr;
  if (!value.IsTypedArray() || napi_get_typedarray_info(info.Env(), value, &type, &length, &data, nullptr, nullptr) !=
                                   napi_ok) {
    throw_type(info, std::string(name) + " must be a " + wanted_name);
  }
  if (type != wanted) throw_type(info, std::string(name) + " must be a " + wanted_name);
  return {static_cast<T*>(data), length};
}

View<uint8_t> bytes(const Napi::CallbackInfo& info, size_t index, const char* name) {
  return view<uint8_t>(info, index, name, napi_uint8_array, "Uint8Array");
}

View<uint32_t> words(const Napi::CallbackInfo& info, size_t index, const char* name) {
  return view<uint32_t>(info, index, name, napi_uint32_array, "Uint32Array");
}

void check_size(const Napi::CallbackInfo& info, const char* name, size_t size, size_t count, size_t item_size) {
  if (size / item_size == count && size % item_size == 0) return;
  throw_range(info, std::string(name) + " must hold " + std::to_string(count) + " x " + std::to_string(item_size) +
                        " bytes, got " + std::to_string(size));
}

size_t count_of(const Napi::CallbackInfo& info, const char* name, size_t size, size_t item_size) {
  if (size % item_size == 0) return size / item_size;
  throw_range(info, std::string(name) + " must hold a multiple of " + std::to_string(item_size) + " bytes, got " +
                        std::to_string(size));
}

uint32_t integer(const Napi::CallbackInfo& info, size_t index, const char* name, uint32_t low, uint32_t high) {
  const Napi::Value value = info[index];
  if (!value.IsNumber()) throw_type(info, std::string(name) + " must be a number");
  const double number = value.As<Napi::Number>().DoubleValue();
  // NaN fails both comparisons.
  if (!(number >= low && number <= high) || number != static_cast<double>(static_cast<uint32_t>(number))) {
    throw_range(info, std::string(name) + " must be an integer from " + std::to_string(low) + " to " +
                          std::to_string(high));
  }
  return static_cast<uint32_t>(number);
}

const Plan& chosen_plan(const Napi::CallbackInfo& info) {
  if (!info[0].IsString()) throw_type(info, "kernel must be a string");
  const std::string name = info[0].As<Napi::String>().Utf8Value();
  if (name == kAuto) return machine().plan;
  for (const Kernel& kernel : machine().kernels) {
    if (name != kernel.name) continue;
    if (kernel.supported) return kernel.plan;
    throw_range(info, "kernel " + name + " is not supported by this CPU or operating system");
  }
  for (const SingleWidth& width : machine().single_widths) {
    if (name == width.name) return width.plan;
  }
  throw_range(info, "kernel must be one that this build has (see kernels().compiled)");
}

/// The items of a concatenation with n + 1 offsets. The offsets are copied before they are believed: another thread
/// may write to shared memory meanwhile.
std::vector<Slice> slices(const Napi::CallbackInfo& info, size_t index, const char* name, const char* offsets_name) {
  const View<uint8_t> data = bytes(info, index, name);
  const View<uint32_t> view = words(info, index + 1, offsets_name);
  if (view.size == 0) throw_range(info, std::string(offsets_name) + " must hold the number of items + 1 offsets, got 0");
  const std::vector<uint32_t> offsets(view.data, view.data + view.size);
  if (offsets.back() > data.size) {
    throw_range(info, std::string(offsets_name) + " must end within the " + std::to_string(data.size) + " bytes of " +
                          name + ", got " + std::to_string(offsets.back()));
  }
  std::vector<Slice> result(offsets.size() - 1);
  for (size_t i = 0; i < result.size(); i++) {
    if (offsets[i] > offsets[i + 1]) {
      throw_range(info, std::string(offsets_name) + " must not descend, as it does at " + std::to_string(i + 1));
    }
    result[i] = {data.data + offsets[i], offsets[i + 1] - offsets[i]};
  }
  return result;
}

void check_same_count(const Napi::CallbackInfo& info, const char* name, size_t got, size_t wanted) {
  if (got == wanted) return;
  throw_range(info, std::string(name) + " must describe " + std::to_string(wanted) + " items, got " +
                        std::to_string(got));
}

Napi::Number bulk_lanes(Napi::Env env, const Plan& plan) {
  return Napi::Number::New(env, static_cast<double>(plan.pbkdf2.bulk().kernel.lanes));
}

template <class K>
void describe_widths(Napi::Array& out, const char* algorithm, const std::deque<Width<K>>& widths) {
  const Napi::Env env = out.Env();
  for (const Width<K>& width : widths) {
    Napi::Object one = Napi::Object::New(env);
    one["algorithm"] = Napi::String::New(env, algorithm);
    one["kernel"] = Napi::String::New(env, width.isa);
    one["lanes"] = Napi::Number::New(env, static_cast<double>(width.kernel.lanes));
    one["nanoseconds"] = Napi::Number::New(env, width.nanoseconds);
    one["calls"] = Napi::Number::New(env, static_cast<double>(width.calls.load()));
    out[out.Length()] = one;
  }
}

Napi::Value describe_kernels(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array compiled = Napi::Array::New(env);
  Napi::Array supported = Napi::Array::New(env);
  Napi::Object lanes = Napi::Object::New(env);
  for (const Kernel& kernel : machine().kernels) {
    compiled[compiled.Length()] = Napi::String::New(env, kernel.name);
    if (!kernel.supported) continue;
    supported[supported.Length()] = Napi::String::New(env, kernel.name);
    lanes[kernel.name] = bulk_lanes(env, kernel.plan);
  }
  for (const SingleWidth& width : machine().single_widths) lanes[width.name] = bulk_lanes(env, width.plan);
  lanes[kAuto] = bulk_lanes(env, machine().plan);
  Napi::Array widths = Napi::Array::New(env);
  describe_widths(widths, "pbkdf2-sha256", machine().widths.pbkdf2);
  describe_widths(widths, "sha256", machine().widths.sha256);
  describe_widths(widths, "md5", machine().widths.md5);
  describe_widths(widths, "md4", machine().widths.md4);
  const CpuFeatures& found = cpu_features();
  Napi::Object features = Napi::Object::New(env);
  features["ssse3"] = Napi::Boolean::New(env, found.ssse3);
  features["sse41"] = Napi::Boolean::New(env, found.sse41);
  features["avx"] = Napi::Boolean::New(env, found.avx);
  features["avx2"] = Napi::Boolean::New(env, found.avx2);
  features["avx512f"] = Napi::Boolean::New(env, found.avx512f);
  features["avx512bw"] = Napi::Boolean::New(env, found.avx512bw);
  features["avx512vl"] = Napi::Boolean::New(env, found.avx512vl);
  features["sha_ni"] = Napi::Boolean::New(env, found.sha_ni);
  features["neon"] = Napi::Boolean::New(env, found.neon);
  features["arm_sha2"] = Napi::Boolean::New(env, found.arm_sha2);
#if defined(__clang__)
  const std::string compiler = "clang " __clang_version__;
#elif defined(__GNUC__)
  const std::string compiler = "gcc " __VERSION__;
#elif defined(_MSC_VER)
  const std::string compiler = "msvc " + std::to_string(_MSC_FULL_VER);
#else
  const std::string compiler = "unknown";
#endif
  Napi::Object result = Napi::Object::New(env);
  result["compiled"] = compiled;
  result["supported"] = supported;
  result["lanes"] = lanes;
  result["widths"] = widths;
  result["measurementNanoseconds"] = Napi::Number::New(env, machine().measurement_nanoseconds);
  result["cpuFeatures"] = features;
  result["compiler"] = Napi::String::New(env, compiler);
  return result;
}

using PlainBatch = void (*)(const Plan&, const HashJob*, size_t);

template <PlainBatch batch>
void plain_hash(const Napi::CallbackInfo& info) {
  constexpr size_t kSize = 16;
  const Plan& plan = chosen_plan(info);
  const std::vector<Slice> messages = slices(info, 1, "bytes", "offsets");
  const View<uint8_t> digests = bytes(info, 3, "digests");
  check_size(info, "digests", digests.size, messages.size(), kSize);
  std::vector<HashJob> jobs(messages.size());
  for (size_t i = 0; i < jobs.size(); i++) {
    jobs[i] = {messages[i].data, messages[i].size, nullptr, 0, digests.data + i * kSize, nullptr};
  }
  batch(plan, jobs.data(), jobs.size());
  wipe_stack();
}

void hmac_sha256(const Napi::CallbackInfo& info) {
  const Plan& plan = chosen_plan(info);
  const std::vector<Slice> keys = slices(info, 1, "keys", "keyOffsets");
  const std::vector<Slice> messages = slices(info, 3, "messages", "messageOffsets");
  const View<uint8_t> digests = bytes(info, 5, "digests");
  check_same_count(info, "messageOffsets", messages.size(), keys.size());
  check_size(info, "digests", digests.size, keys.size(), kDigestSize);
  hmac_sha256_batch(plan, keys.data(), messages.data(), keys.size(), digests.data);
  wipe_stack();
}

void pbkdf2(const Napi::CallbackInfo& info) {
  const Plan& plan = chosen_plan(info);
  const std::vector<Slice> passwords = slices(info, 1, "passwords", "passwordOffsets");
  const std::vector<Slice> salts = slices(info, 3, "salts", "saltOffsets");
  const uint32_t iterations = integer(info, 5, "iterations", 1, kMaxPbkdf2Iterations);
  const uint32_t dk_len = integer(info, 6, "dkLen", 1, kMaxDerivedKeySize);
  const View<uint8_t> derived_keys = bytes(info, 7, "derivedKeys");
  check_same_count(info, "saltOffsets", salts.size(), passwords.size());
  check_size(info, "derivedKeys", derived_keys.size, passwords.size(), dk_len);
  pbkdf2_many(plan, passwords.data(), salts.data(), passwords.size(), iterations, dk_len, derived_keys.data);
  wipe_stack();
}

void derive(const Napi::CallbackInfo& info) {
  const Plan& plan = chosen_plan(info);
  const View<uint8_t> nt_hashes = bytes(info, 1, "ntHashes");
  const View<uint8_t> salts = bytes(info, 2, "salts");
  const uint32_t iterations = integer(info, 3, "iterations", 1, kMaxIterations);
  const View<uint8_t> digests = bytes(info, 4, "digests");
  const size_t count = count_of(info, "ntHashes", nt_hashes.size, kNtHashSize);
  check_size(info, "salts", salts.size, count, kSaltSize);
  check_size(info, "digests", digests.size, count, kDigestSize);
  derive_batch(plan, nt_hashes.data, salts.data, count, iterations, digests.data);
  wipe_stack();
}

/// Arguments 1 and 2.
std::vector<Slice> session_keys_of(const Napi::CallbackInfo& info) {
  std::vector<Slice> session_keys = slices(info, 1, "sessionKeys", "sessionKeyOffsets");
  if (session_keys.empty() || session_keys.size() > kMaxSessionKeys) {
    throw_range(info, "sessionKeyOffsets must describe 1 to " + std::to_string(kMaxSessionKeys) + " keys, got " +
                          std::to_string(session_keys.size()));
  }
  for (size_t i = 0; i < session_keys.size(); i++) {
    if (session_keys[i].size < 1 || session_keys[i].size > kMaxSessionKeySize) {
      throw_range(info, "session key " + std::to_string(i) + " must have 1 to " + std::to_string(kMaxSessionKeySize) +
                            " bytes, got " + std::to_string(session_keys[i].size));
    }
  }
  return session_keys;
}

void open_and_derive(const Napi::CallbackInfo& info) {
  const Plan& plan = chosen_plan(info);
  const std::vector<Slice> session_keys = session_keys_of(info);
  const View<uint8_t> envelopes = bytes(info, 3, "envelopes");
  const View<uint32_t> rids = words(info, 4, "rids");
  const View<uint8_t> salts = bytes(info, 5, "salts");
  const uint32_t iterations = integer(info, 6, "iterations", 1, kMaxIterations);
  const View<uint8_t> digests = bytes(info, 7, "digests");
  const View<uint8_t> status = bytes(info, 8, "status");
  const size_t count = rids.size;
  check_size(info, "envelopes", envelopes.size, count, kEnvelopeSize);
  check_size(info, "salts", salts.size, count, kSaltSize);
  check_size(info, "digests", digests.size, count, kDigestSize);
  check_size(info, "status", status.size, count, 1);
  open_and_derive_batch(plan, session_keys.data(), session_keys.size(), envelopes.data, rids.data, salts.data, count,
                        iterations, digests.data, status.data);
  wipe_stack();
}

void open(const Napi::CallbackInfo& info) {
  const Plan& plan = chosen_plan(info);
  const std::vector<Slice> session_keys = session_keys_of(info);
  const std::vector<Slice> envelopes = slices(info, 3, "envelopes", "envelopeOffsets");
  const size_t count = envelopes.size();
  const bool rid_layer = !info[5].IsNull();
  const View<uint32_t> rids = rid_layer ? words(info, 5, "rids") : View<uint32_t>{nullptr, count};
  const View<uint8_t> data = bytes(info, 6, "data");
  const View<uint8_t> status = bytes(info, 7, "status");
  check_same_count(info, "rids", rids.size, count);
  check_size(info, "status", status.size, count, 1);
  const uint8_t* first = bytes(info, 3, "envelopes").data;
  const size_t end = count == 0 ? 0 : static_cast<size_t>(envelopes.back().data - first) + envelopes.back().size;
  if (data.size < end) {
    throw_range(info, "data must hold at least the " + std::to_string(end) + " bytes of the envelopes, got " +
                          std::to_string(data.size));
  }
  std::vector<OpenItem> items(count);
  for (size_t i = 0; i < count; i++) items[i] = {envelopes[i], data.data + (envelopes[i].data - first)};
  open_batch(plan, session_keys.data(), session_keys.size(), items.data(), rids.data, count, status.data);
  wipe_stack();
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports["kernels"] = Napi::Function::New<describe_kernels>(env, "kernels");
  exports["md4Batch"] = Napi::Function::New<plain_hash<md4_batch>>(env, "md4Batch");
  exports["md5Batch"] = Napi::Function::New<plain_hash<md5_batch>>(env, "md5Batch");
  exports["hmacSha256Batch"] = Napi::Function::New<hmac_sha256>(env, "hmacSha256Batch");
  exports["pbkdf2Batch"] = Napi::Function::New<pbkdf2>(env, "pbkdf2Batch");
  exports["deriveBatch"] = Napi::Function::New<derive>(env, "deriveBatch");
  exports["openAndDeriveBatch"] = Napi::Function::New<open_and_derive>(env, "openAndDeriveBatch");
  exports["openBatch"] = Napi::Function::New<open>(env, "openBatch");
  return exports;
}

}  // namespace
}  // namespace phsync

static Napi::Object phsync_init(Napi::Env env, Napi::Object exports) { return phsync::init(env, exports); }

NODE_API_MODULE(phsync, phsync_init)
