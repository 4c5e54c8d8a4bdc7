// AzureAccess is how this process may use an account of Azure's storage: where it is, and with which secret.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/http/http_client.h"
#include "common/remote/azure_uri.h"
#include "common/remote/hadoop_configuration.h"

namespace samovar {

struct AzureAccess {
  enum class Kind {
    kSharedKey,  // `secret` is the account's key, decoded
    kSas,        // `secret` is the query of a shared access signature, without "?"
    kBearer,     // `secret` is a token of the machine's identity
  };
  Kind kind = Kind::kSharedKey;
  std::string secret = "";
  // "https://ACCOUNT.blob.core.windows.net", or an emulator's "http://127.0.0.1:10000/ACCOUNT"; no slash at the end.
  std::string endpoint = "";
  // By SteadyNow: from then on the secret is of no use.
  absl::Time expires = absl::InfiniteFuture();
};

// Where virtual machines of Azure's ask for tokens of their identity.
inline constexpr char kAzureIdentityUrl[] =
    "http://169.254.169.254/metadata/identity/oauth2/"
    "token?api-version=2018-02-01&resource=https%3A%2F%2Fstorage.azure.com%2F";

// The first of these that there is:
//   the environment: AZURE_STORAGE_CONNECTION_STRING, if it is of this account; AZURE_STORAGE_ACCOUNT, if it names this
//     account, with AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN;
//   core-site.xml: fs.azure.sas.CONTAINER.ACCOUNT.blob.core.windows.net, or
//     fs.azure.account.key.ACCOUNT.blob.core.windows.net (or with dfs), decrypted by
//     fs.azure.shellkeyprovider.script where fs.azure.account.keyprovider.* names a ShellDecryptionKeyProvider;
//   the identity of the virtual machine that this process runs on.
// FAILED_PRECONDITION: there is none, or one that is of no use; the message says what to set, and shows no secret.
// Does I/O, and runs the key provider's program.
// UNAVAILABLE: the end point of identities is busy. `identity_url`: that end point.
absl::StatusOr<AzureAccess> FindAzureAccess(const AzureUri& uri, const HadoopConfiguration& configuration,
                                            HttpClient* http, const std::string& identity_url = kAzureIdentityUrl);

// Adds to a request what shows that it may be made: x-ms-date, x-ms-version and Authorization, or the signature in its
// query. Its other headers and its body's length are signed: they are complete. `now`: the wall clock.
void AuthorizeAzureRequest(const AzureAccess& access, absl::string_view account, absl::Time now, HttpRequest* request);

}  // namespace samovar
