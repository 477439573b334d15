//! Where a request is wrong: JSON pointers (RFC 6901), into the user or into an operation of a batch.

use crate::problem::FieldError;

/// The operation of a batch that a pointer points into, from 0, and the part of it that is wrong. The parts have the
/// same names as in a call of its own: `/email`, `/id`, `/etag`, and so on.
pub(crate) fn read(pointer: &str, detail: String) -> (Option<usize>, FieldError) {
    let (operation, part) = in_operation(pointer).map_or((None, pointer), |(place, part)| (Some(place), part));
    let pointer = if operation.is_some() && part == "/if_match" { "/etag" } else { part };
    let token = pointer.strip_prefix('/').unwrap_or(pointer).split('/').next().unwrap_or_default();
    let field = token.replace("~1", "/").replace("~0", "~");
    (operation, FieldError { field, pointer: pointer.to_owned(), detail })
}

/// The pointer for a field of gRPC, such as `operations[3].create.email`. A dot in the name of an attribute looks like
/// another level.
pub(crate) fn of_grpc(field: &str) -> String {
    if field.is_empty() {
        return String::new();
    }
    let (head, tail) = field.split_once('.').map_or((field, None), |(head, tail)| (head, Some(tail)));
    let head = head.replace('[', "/").replace(']', "");
    let tail = tail.map(|tail| format!("/{}", tail.replace('.', "/"))).unwrap_or_default();
    format!("/{head}{tail}")
}

/// Splits `/operations/3/update/patch/email` into 3 and `/email`.
fn in_operation(pointer: &str) -> Option<(usize, &str)> {
    let rest = pointer.strip_prefix("/operations/")?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (place, part) = rest.split_at_checked(end)?;
    let of_kind = ["/update/patch", "/create", "/update", "/delete"].into_iter().find_map(|kind| {
        let part = part.strip_prefix(kind)?;
        (part.is_empty() || part.starts_with('/')).then_some(part)
    });
    Some((place.parse().ok()?, of_kind.unwrap_or(part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_names_an_operation_and_a_field() {
        for (pointer, operation, field, part) in [
            ("", None, "", ""),
            ("/email", None, "email", "/email"),
            ("/attributes/a~1b/c", None, "attributes", "/attributes/a~1b/c"),
            ("/a~1b~0c", None, "a/b~c", "/a~1b~0c"),
            ("/operations", None, "operations", "/operations"),
            ("/operations/3", Some(3), "", ""),
            ("/operations/3/create", Some(3), "", ""),
            ("/operations/3/create/attributes/a", Some(3), "attributes", "/attributes/a"),
            ("/operations/0/update/patch/email", Some(0), "email", "/email"),
            ("/operations/0/update/id", Some(0), "id", "/id"),
            ("/operations/12/delete/if_match", Some(12), "etag", "/etag"),
            ("/emails/7", None, "emails", "/emails/7"),
        ] {
            let expected = FieldError { field: field.into(), pointer: part.into(), detail: "is wrong".into() };
            assert_eq!(read(pointer, "is wrong".into()), (operation, expected), "{pointer}");
        }
    }

    #[test]
    fn fields_of_grpc_become_pointers() {
        for (field, pointer) in [
            ("", ""),
            ("email", "/email"),
            ("attributes.address.a[b]", "/attributes/address/a[b]"),
            ("emails[7]", "/emails/7"),
            ("operations[3]", "/operations/3"),
            ("operations[3].update.etag", "/operations/3/update/etag"),
        ] {
            assert_eq!(of_grpc(field), pointer, "{field}");
        }
    }
}
