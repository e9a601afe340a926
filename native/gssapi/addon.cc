// The Node-API door to Kerberos: `GssapiAddon` of src/protocol/ssp/kerberos/gssapi.ts. What may wait for a KDC runs
// off the main thread, one call of a context after another.
#include <napi.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../secure_zero.h"
#include "library.h"
#include "security_context.h"

namespace phsync {
namespace {

Napi::Value bytes_value(Napi::Env env, const std::vector<uint8_t>& bytes) {
  Napi::Uint8Array result = Napi::Uint8Array::New(env, bytes.size());
  std::copy(bytes.begin(), bytes.end(), result.Data());
  return result;
}

Napi::Error error_value(Napi::Env env, const Failure& failure) {
  Napi::Error error = Napi::Error::New(env, failure.message);
  Napi::Object object = error.Value();
  object["stage"] = Napi::String::New(env, failure.stage);
  object["status"] = Napi::Number::New(env, failure.code);
  object["major"] = Napi::Number::New(env, failure.major);
  object["eData"] = bytes_value(env, failure.e_data);
  object["kdcTime"] = Napi::Number::New(env, failure.kdc_time);
  return error;
}

/// The memory of a Uint8Array, shared or not.
struct View {
  uint8_t* data;
  size_t size;
};

View view(Napi::Env env, Napi::Value value, const char* name) {
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void* data = nullptr;
  if (!value.IsTypedArray() ||
      napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_uint8_array) {
    throw Napi::TypeError::New(env, std::string(name) + " must be a Uint8Array");
  }
  return {static_cast<uint8_t*>(data), length};
}

std::vector<uint8_t> copy(Napi::Env env, Napi::Value value, const char* name) {
  const View bytes = view(env, value, name);
  return std::vector<uint8_t>(bytes.data, bytes.data + bytes.size);
}

size_t index(const Napi::CallbackInfo& info, size_t position, const char* name, size_t low, size_t high) {
  const double value = info[position].IsNumber() ? info[position].As<Napi::Number>().DoubleValue() : -1;
  // NaN fails both comparisons.
  if (!(value >= static_cast<double>(low) && value <= static_cast<double>(high)) ||
      value != static_cast<double>(static_cast<size_t>(value))) {
    throw Napi::RangeError::New(info.Env(), std::string(name) + " must be an integer from " + std::to_string(low) +
                                                " to " + std::to_string(high));
  }
  return static_cast<size_t>(value);
}

std::string text(Napi::Object options, const char* name) {
  const Napi::Value value = options.Get(name);
  if (value.IsUndefined()) return "";
  std::string result = value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string(1, '\0');
  if (result.find('\0') != std::string::npos) {
    throw Napi::TypeError::New(options.Env(), std::string(name) + " must be a string without a NUL");
  }
  return result;
}

TicketRequest ticket_request(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsObject()) throw Napi::TypeError::New(env, "options must be an object");
  const Napi::Object options = info[0].As<Napi::Object>();
  TicketRequest request = {};
  request.overlay.realm = text(options, "realm");
  request.overlay.allow_rc4 = options.Get("allowRc4").ToBoolean();
  const Napi::Value kdcs = options.Get("kdcs");
  if (!kdcs.IsArray()) throw Napi::TypeError::New(env, "kdcs must be an array");
  const Napi::Array list = kdcs.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); i++) request.overlay.kdcs.push_back(list.Get(i).ToString().Utf8Value());
  request.client = text(options, "client");
  request.enterprise = options.Get("enterprise").ToBoolean();
  request.service = text(options, "service");
  request.keytab = text(options, "keytab");
  request.credential_cache = text(options, "credentialCache");
  const Napi::Value password = options.Get("password");
  if (!password.IsUndefined()) {
    const View bytes = view(env, password, "password");
    request.password.reserve(bytes.size + 1);
    request.password.assign(bytes.data, bytes.data + bytes.size);
    if (std::find(request.password.begin(), request.password.end(), '\0') != request.password.end()) {
      throw Napi::RangeError::New(env, "password must not contain a NUL");
    }
    request.password.push_back('\0');
  }
  const int ways = !request.password.empty() + !request.keytab.empty() + !request.credential_cache.empty();
  if (ways != 1) throw Napi::TypeError::New(env, "expected one of password, keytab and credentialCache");
  return request;
}

/// A context, and whether a call of it runs, which the main thread alone asks. Calls keep it alive, not its object.
struct Shared {
  Shared(const Library& library, TicketRequest request) : context(library, std::move(request)) {}

  SecurityContext context;
  bool busy = false;
};

/// One call of a context on a thread of libuv's pool, with a promise for its end. It owns what it works on.
class Work : public Napi::AsyncWorker {
 public:
  using Run = std::function<std::vector<uint8_t>(SecurityContext&)>;
  using Describe = std::function<Napi::Value(Napi::Env, SecurityContext&, const std::vector<uint8_t>&)>;

  Work(Napi::Env env, std::shared_ptr<Shared> shared, const char* name, Run run, Describe describe)
      : Napi::AsyncWorker(env, name),
        shared_(std::move(shared)),
        run_(std::move(run)),
        describe_(std::move(describe)),
        deferred_(Napi::Promise::Deferred::New(env)) {
    shared_->busy = true;
  }

  Napi::Promise promise() { return deferred_.Promise(); }

 protected:
  void Execute() override {
    try {
      result_ = run_(shared_->context);
    } catch (const Failure& failure) {
      failure_ = failure;
    }
    // A std::exception is the worker's own, and OnError's.
  }
  void OnOK() override {
    shared_->busy = false;
    if (failure_.has_value()) {
      deferred_.Reject(error_value(Env(), *failure_).Value());
    } else {
      deferred_.Resolve(describe_(Env(), shared_->context, result_));
    }
  }
  void OnError(const Napi::Error& error) override {
    shared_->busy = false;
    deferred_.Reject(error.Value());
  }

 private:
  std::shared_ptr<Shared> shared_;
  Run run_;
  Describe describe_;
  Napi::Promise::Deferred deferred_;
  std::vector<uint8_t> result_;
  std::optional<Failure> failure_;
};

class Context : public Napi::ObjectWrap<Context> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "KerberosSecurityContext",
                       {
                           InstanceMethod<&Context::acquire>("acquire"),
                           InstanceMethod<&Context::step>("step"),
                           InstanceMethod<&Context::token_size>("tokenSize"),
                           InstanceMethod<&Context::wrap>("wrap"),
                           InstanceMethod<&Context::unwrap>("unwrap"),
                           InstanceMethod<&Context::mic>("mic"),
                           InstanceMethod<&Context::verify_mic>("verifyMic"),
                           InstanceMethod<&Context::session_key>("sessionKey"),
                           InstanceMethod<&Context::dispose>("dispose"),
                       });
  }

  explicit Context(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Context>(info) {
    const Opened opened = open_library();
    if (opened.library == nullptr) throw Napi::Error::New(info.Env(), opened.why_not);
    // Not make_shared, which asks for a newer libstdc++ than Node.js 20 does.
    shared_.reset(new Shared(*opened.library, ticket_request(info)));
  }

 private:
  /// The context for a call that no other runs beside.
  SecurityContext& idle(Napi::Env env) {
    if (shared_ == nullptr) throw Napi::Error::New(env, "the security context was disposed of");
    if (shared_->busy) throw Napi::Error::New(env, "the security context is busy");
    return shared_->context;
  }

  SecurityContext& established(Napi::Env env) {
    SecurityContext& context = idle(env);
    if (!context.complete()) throw Napi::Error::New(env, "the security context is not established");
    return context;
  }

  Napi::Value start(Napi::Env env, const char* name, Work::Run run, Work::Describe describe) {
    idle(env);
    Work* work = new Work(env, shared_, name, std::move(run), std::move(describe));
    const Napi::Promise promise = work->promise();
    work->Queue();
    return promise;
  }

  template <class F>
  static auto guarded(Napi::Env env, F run) -> decltype(run()) {
    try {
      return run();
    } catch (const Failure& failure) {
      throw error_value(env, failure);
    }
  }

  Napi::Value acquire(const Napi::CallbackInfo& info) {
    return start(
        info.Env(), "phsync:KerberosTickets",
        [](SecurityContext& context) {
          context.acquire();
          return std::vector<uint8_t>();
        },
        [](Napi::Env env, SecurityContext& context, const std::vector<uint8_t>&) {
          const Tickets& tickets = context.tickets();
          Napi::Object result = Napi::Object::New(env);
          result["client"] = Napi::String::New(env, tickets.client);
          result["sessionEnctype"] = Napi::Number::New(env, tickets.session_enctype);
          result["ticketEnctype"] = Napi::Number::New(env, tickets.ticket_enctype);
          result["expires"] = Napi::Number::New(env, tickets.expires);
          return result;
        });
  }

  Napi::Value step(const Napi::CallbackInfo& info) {
    std::vector<uint8_t> token;
    if (!info[0].IsUndefined()) token = copy(info.Env(), info[0], "token");
    return start(
        info.Env(), "phsync:KerberosStep",
        [token = std::move(token)](SecurityContext& context) { return context.step(token); },
        [](Napi::Env env, SecurityContext& context, const std::vector<uint8_t>& ours) {
          Napi::Object result = Napi::Object::New(env);
          result["token"] = ours.empty() ? env.Undefined() : bytes_value(env, ours);
          result["complete"] = Napi::Boolean::New(env, context.complete());
          result["flags"] = Napi::Number::New(env, context.flags());
          return result;
        });
  }

  Napi::Value token_size(const Napi::CallbackInfo& info) {
    SecurityContext& context = established(info.Env());
    return guarded(info.Env(), [&] {
      return Napi::Number::New(info.Env(), static_cast<double>(context.token_size()));
    });
  }

  Napi::Value wrap(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    SecurityContext& context = established(env);
    const View pdu = view(env, info[0], "pdu");
    const size_t from = index(info, 1, "from", 0, pdu.size);
    const size_t to = index(info, 2, "to", from, pdu.size);
    const size_t signed_to = index(info, 3, "signedTo", to, pdu.size);
    return guarded(env, [&] {
      Napi::Uint8Array token = Napi::Uint8Array::New(env, context.token_size());
      context.wrap(pdu.data, from, to, signed_to, token.Data(), token.ByteLength());
      return token;
    });
  }

  void unwrap(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    SecurityContext& context = established(env);
    const View pdu = view(env, info[0], "pdu");
    const size_t from = index(info, 1, "from", 0, pdu.size);
    const size_t to = index(info, 2, "to", from, pdu.size);
    const size_t signed_to = index(info, 3, "signedTo", to, pdu.size);
    const View token = view(env, info[4], "token");
    guarded(env, [&] { context.unwrap(pdu.data, from, to, signed_to, token.data, token.size); });
  }

  Napi::Value mic(const Napi::CallbackInfo& info) {
    SecurityContext& context = established(info.Env());
    std::vector<uint8_t> message = copy(info.Env(), info[0], "message");
    return guarded(info.Env(), [&] { return bytes_value(info.Env(), context.mic(std::move(message))); });
  }

  void verify_mic(const Napi::CallbackInfo& info) {
    SecurityContext& context = established(info.Env());
    std::vector<uint8_t> message = copy(info.Env(), info[0], "message");
    std::vector<uint8_t> mic = copy(info.Env(), info[1], "mic");
    guarded(info.Env(), [&] { context.verify_mic(std::move(message), std::move(mic)); });
  }

  Napi::Value session_key(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    SecurityContext& context = established(env);
    return guarded(env, [&] {
      SessionKey found = context.session_key();
      Napi::Object result = Napi::Object::New(env);
      result["key"] = bytes_value(env, found.key);
      result["enctype"] = Napi::Number::New(env, found.enctype);
      secure_zero(found.key.data(), found.key.size());
      return result;
    });
  }

  /// A call that runs keeps the context until it has ended.
  void dispose(const Napi::CallbackInfo&) { shared_.reset(); }

  std::shared_ptr<Shared> shared_;
};

/// Undefined where the libraries are there, else why not.
Napi::Value why_not(const Napi::CallbackInfo& info) {
  const Opened opened = open_library();
  return opened.library != nullptr ? info.Env().Undefined() : Napi::String::New(info.Env(), opened.why_not);
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports["whyNot"] = Napi::Function::New<why_not>(env, "whyNot");
  exports["SecurityContext"] = Context::define(env);
  return exports;
}

}  // namespace
}  // namespace phsync

static Napi::Object phsync_gssapi_init(Napi::Env env, Napi::Object exports) { return phsync::init(env, exports); }

NODE_API_MODULE(phsync_gssapi, phsync_gssapi_init)
