// grpc-go against the node at GRPC_TARGET: the messages as DESCRIPTORS describes them, health checks and reflection by
// grpc-go's own stubs, which have been generated from gRPC's own files.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
	many    = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT %d) SELECT i, 'row ' || i FROM n"
)

var (
	passed int
	files  *protoregistry.Files
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func check(ok bool, format string, args ...any) {
	if !ok {
		panic(fmt.Sprintf(format, args...))
	}
	passed++
}

// ---- messages ----

func message(name string) *dynamicpb.Message {
	d, err := files.FindDescriptorByName(protoreflect.FullName(name))
	must(err)
	return dynamicpb.NewMessage(d.(protoreflect.MessageDescriptor))
}

func field(m protoreflect.Message, name string) protoreflect.Value {
	return m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(name)))
}

func set(m protoreflect.Message, name string, v any) {
	m.Set(m.Descriptor().Fields().ByName(protoreflect.Name(name)), protoreflect.ValueOf(v))
}

func request(sql string, params ...proto.Message) *dynamicpb.Message {
	m := message("sql.v1.QueryRequest")
	set(m, "sql", sql)
	list := m.Mutable(m.Descriptor().Fields().ByName("params")).List()
	for i, p := range params {
		v := list.NewElement().Message()
		set(v, "ordinal", int64(i+1))
		packed, err := anypb.New(p)
		must(err)
		inner := v.Mutable(v.Descriptor().Fields().ByName("value")).Message()
		set(inner, "type_url", packed.TypeUrl)
		set(inner, "value", packed.Value)
		list.Append(protoreflect.ValueOf(v))
	}
	return m
}

func response() *dynamicpb.Message {
	return message("sql.v1.QueryResponse")
}

func rows(m *dynamicpb.Message) protoreflect.List {
	return field(field(m, "result_set").Message(), "rows").List()
}

// The value of a cell, as the well-known type that it says it is.
func cell(m *dynamicpb.Message, row, col int) proto.Message {
	inner := field(rows(m).Get(row).Message(), "values").List().Get(col).Message()
	packed := &anypb.Any{TypeUrl: field(inner, "type_url").String(), Value: field(inner, "value").Bytes()}
	v, err := packed.UnmarshalNew()
	must(err)
	return v
}

// ---- calls ----

func execute(ctx context.Context, cc *grpc.ClientConn, sql string, params ...proto.Message) (*dynamicpb.Message, error) {
	out := response()
	return out, cc.Invoke(ctx, "/ha.v1.Database/Execute", request(sql, params...), out)
}

func stream(ctx context.Context, cc *grpc.ClientConn, sql string) (grpc.ClientStream, error) {
	s, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/ha.v1.Database/Stream")
	must(err)
	must(s.SendMsg(request(sql)))
	return s, s.CloseSend()
}

func count(ctx context.Context, cc *grpc.ClientConn, sql string) (int, error) {
	s, err := stream(ctx, cc, sql)
	must(err)
	for n := 0; ; {
		m := response()
		if err := s.RecvMsg(m); err == io.EOF {
			return n, nil
		} else if err != nil {
			return n, err
		}
		n += rows(m).Len()
	}
}

func single(ctx context.Context, cc *grpc.ClientConn) {
	_, err := execute(ctx, cc, "CREATE TABLE go_t (id INTEGER PRIMARY KEY, v)")
	must(err)
	given := []proto.Message{wrapperspb.String("naïve"), wrapperspb.Int64(-1 << 63), wrapperspb.Double(-0.5),
		wrapperspb.Bytes([]byte{0, 255})}
	for _, v := range given {
		_, err = execute(ctx, cc, "INSERT INTO go_t(v) VALUES (?)", v)
		must(err)
	}
	back, err := execute(ctx, cc, "SELECT v FROM go_t ORDER BY id")
	must(err)
	for i, v := range given {
		check(proto.Equal(cell(back, i, 0), v), "value %d came back as %v", i, cell(back, i, 0))
	}
	_, err = execute(ctx, cc, "SELECT * FROM nowhere")
	check(status.Code(err) == codes.InvalidArgument, "%v", err)
	check(status.Convert(err).Message() == "no such table: nowhere", "%v", err)
	var trailer metadata.MD
	err = cc.Invoke(ctx, "/ha.v1.Database/Execute", request("INSERT INTO go_t(id) VALUES (1)"), response(), grpc.Trailer(&trailer))
	check(status.Code(err) == codes.AlreadyExists, "%v", err)
	check(trailer.Get("ha-sqlstate")[0] == "23505", "%v", trailer)
	info := status.Convert(err).Details()[0].(*errdetails.ErrorInfo)
	check(info.Reason == "UNIQUE" && info.Domain == "ha", "%v", info)
	check(info.Metadata["sqlstate"] == "23505" && info.Metadata["sqlite_code"] == "1555", "%v", info)
}

func session(ctx context.Context, cc *grpc.ClientConn) {
	s, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/sql.v1.DatabaseService/Query")
	must(err)
	ask := func(sql string) *dynamicpb.Message {
		must(s.SendMsg(request(sql)))
		m := response()
		must(s.RecvMsg(m))
		return m
	}
	for _, sql := range []string{"BEGIN", "DELETE FROM go_t", "ROLLBACK"} {
		check(field(ask(sql), "error").String() == "", "%s", sql)
	}
	check(field(ask("nonsense"), "error").String() != "", "nonsense was no error")
	n := cell(ask("SELECT count(*) FROM go_t"), 0, 0).(*wrapperspb.Int64Value)
	check(n.Value == 4, "%d rows after the rollback", n.Value)
	must(s.CloseSend())
	check(s.RecvMsg(response()) == io.EOF, "the stream did not end")
}

func load(ctx context.Context, cc *grpc.ClientConn) {
	n, err := count(ctx, cc, fmt.Sprintf(many, 100000))
	must(err)
	check(n == 100000, "%d rows", n)
	var all sync.WaitGroup
	counts := make([]int, 64)
	for i := range counts {
		all.Add(1)
		go func() {
			defer all.Done()
			counts[i], _ = count(ctx, cc, fmt.Sprintf(many, 2000))
		}()
	}
	all.Wait()
	for _, n := range counts {
		check(n == 2000, "%d rows of 2000", n)
	}
}

func interruptions(ctx context.Context, cc *grpc.ClientConn) {
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	_, err := execute(short, cc, endless)
	check(status.Code(err) == codes.DeadlineExceeded, "%v", err)
	for range 60 { // more than --concurrent-queries
		c, cancel := context.WithCancel(ctx)
		s, err := stream(c, cc, endless)
		must(err)
		go cancel()
		err = s.RecvMsg(response())
		check(status.Code(err) == codes.Canceled, "%v", err)
	}
	_, err = execute(ctx, cc, "SELECT 1")
	must(err)
}

// ---- gRPC's own services ----

func health(ctx context.Context, cc *grpc.ClientConn) {
	c := grpc_health_v1.NewHealthClient(cc)
	for _, service := range []string{"", "sql.v1.DatabaseService", "ha.v1.Database"} {
		r, err := c.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
		must(err)
		check(r.Status == grpc_health_v1.HealthCheckResponse_SERVING, "%s: %v", service, r.Status)
	}
	_, err := c.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "nothing"})
	check(status.Code(err) == codes.NotFound, "%v", err)
	w, err := c.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	must(err)
	r, err := w.Recv()
	must(err)
	check(r.Status == grpc_health_v1.HealthCheckResponse_SERVING, "watched: %v", r.Status)
}

func reflect(ctx context.Context, cc *grpc.ClientConn) {
	s, err := reflection.NewServerReflectionClient(cc).ServerReflectionInfo(ctx)
	must(err)
	must(s.Send(&reflection.ServerReflectionRequest{
		MessageRequest: &reflection.ServerReflectionRequest_ListServices{}}))
	r, err := s.Recv()
	must(err)
	services := r.GetListServicesResponse().GetService()
	check(len(services) == 4, "%v", services)
	for _, service := range services {
		must(s.Send(&reflection.ServerReflectionRequest{
			MessageRequest: &reflection.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: service.Name}}))
		r, err := s.Recv()
		must(err)
		found := false
		for _, b := range r.GetFileDescriptorResponse().GetFileDescriptorProto() {
			f := &descriptorpb.FileDescriptorProto{}
			must(proto.Unmarshal(b, f))
			for _, x := range f.Service {
				found = found || f.GetPackage()+"."+x.GetName() == service.Name
			}
		}
		check(found, "%s is not in its file", service.Name)
	}
}

func main() {
	bytes, err := os.ReadFile(os.Getenv("DESCRIPTORS"))
	must(err)
	described := &descriptorpb.FileDescriptorSet{}
	must(proto.Unmarshal(bytes, described))
	files, err = protodesc.NewFiles(described)
	must(err)
	transport := insecure.NewCredentials()
	if cacert := os.Getenv("GRPC_CACERT"); cacert != "" { // a file: over TLS
		transport, err = credentials.NewClientTLSFromFile(cacert, "")
		must(err)
	}
	cc, err := grpc.NewClient(os.Getenv("GRPC_TARGET"), grpc.WithTransportCredentials(transport))
	must(err)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	single(ctx, cc)
	session(ctx, cc)
	load(ctx, cc)
	interruptions(ctx, cc)
	health(ctx, cc)
	reflect(ctx, cc)
	fmt.Printf("passed %d\n", passed)
}
